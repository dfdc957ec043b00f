//! How a request names what a refusal is about.

/// Returns the path of a row of a bulk request, as in `rows[3].add.`.
pub type RowPath<'a> = &'a (dyn Fn(usize) -> String + Sync);

/// How a request names what a refusal is about.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The project's key, if the request has one.
    pub project: &'a str,
    /// The path under which an update has the fields of the resource: `resource.`.
    pub resource: &'a str,
    /// The path from an element of `roles` to the name of the role: `.role`. Empty if the elements are names.
    pub role: &'a str,
    pub row: RowPath<'a>,
}

/// For requests without rows.
pub fn no_rows(_: usize) -> String {
    String::new()
}

pub const NAMELESS: Names<'_> = Names { project: "", resource: "", role: ".role", row: &no_rows };
