//! Paths of requests, and the templates that they match.

/// A template such as `/orgs/{org}/invoices/**`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    /// True if more segments may follow.
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Variable(String),
}

impl Template {
    /// Reads a template. `Err` says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("the path `{text}` {why}");
        let rest = text.strip_prefix('/').ok_or_else(|| wrong("must begin with `/`"))?;
        let (rest, open) = match rest.strip_suffix("**") {
            Some(before) if before.is_empty() || before.ends_with('/') => (before, true),
            Some(_) => return Err(wrong("has `**` that is not a whole segment")),
            None => (rest, false),
        };
        let mut segments: Vec<Segment> = Vec::new();
        for part in rest.strip_suffix('/').unwrap_or(rest).split('/').filter(|_| !rest.is_empty()) {
            let variable = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            segments.push(match variable {
                Some(name) if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
                    return Err(wrong("has a variable whose name is not of letters, digits and `_`"));
                }
                Some(name) if segments.contains(&Segment::Variable(name.into())) => {
                    return Err(wrong(&format!("has the variable `{name}` twice")));
                }
                Some(name) => Segment::Variable(name.into()),
                None if part.is_empty() => return Err(wrong("has an empty segment")),
                None if part.contains(['{', '}', '*', '?', '#', '%', ';', '\\']) => {
                    return Err(wrong(
                        "may have `{name}` and, at the end, `**` only as whole segments, and no `?`, `#`, `%`, `;` or `\\`",
                    ));
                }
                None if part == "." || part == ".." => return Err(wrong("must not have the segments `.` and `..`")),
                None => Segment::Literal(part.into()),
            });
        }
        Ok(Self { segments, open })
    }

    pub fn has_variable(&self, name: &str) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Variable(own) if own == name))
    }

    pub fn matches(&self, path: &[String]) -> bool {
        let long_enough = if self.open { path.len() >= self.segments.len() } else { path.len() == self.segments.len() };
        let fits = |(segment, part): (&Segment, &String)| match segment {
            Segment::Literal(text) => text == part,
            Segment::Variable(_) => true,
        };
        long_enough && self.segments.iter().zip(path).all(fits)
    }

    /// Returns the segment that a variable stands for, in a path that matches.
    pub fn variable<'p>(&self, name: &str, path: &'p [String]) -> Option<&'p str> {
        let is_variable = |segment: &Segment| matches!(segment, Segment::Variable(own) if own == name);
        path.get(self.segments.iter().position(is_variable)?).map(String::as_str)
    }
}

/// Returns the decoded segments of a request's path, without its query and a `/` at its end. `None` if a server behind Envoy may
/// read the path in another way: with empty segments, `.` or `..`, with `;`, which some drop with what follows, or with an encoded
/// `/`, `\` or `%`, which some decode twice.
pub fn segments(path: &str) -> Option<Vec<String>> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let rest = path.strip_prefix('/')?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return (path == "/").then(Vec::new);
    }
    rest.split('/').map(segment).collect()
}

fn segment(text: &str) -> Option<String> {
    let decoded = decoded(text)?;
    let plain = !decoded.contains(|c: char| matches!(c, '/' | '\\' | ';' | '%') || c.is_control());
    (plain && !["", ".", ".."].contains(&&*decoded)).then_some(decoded)
}

/// Decodes `%41`. `None` if the text is not encoded UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_matches_whole_segments() {
        for (template, path, matches) in [
            ("/", "/", true),
            ("/", "/orgs", false),
            ("/**", "/", true),
            ("/**", "/a/b", true),
            ("/orgs/{org}", "/orgs/acme", true),
            ("/orgs/{org}", "/orgs/acme/", true),
            ("/orgs/{org}/", "/orgs/acme?x=/y", true),
            ("/orgs/{org}", "/orgs", false),
            ("/orgs/{org}", "/orgs/acme/invoices", false),
            ("/orgs/{org}/invoices/**", "/orgs/acme/invoices", true),
            ("/orgs/{org}/invoices/**", "/orgs/acme/invoices/1/pdf", true),
            ("/orgs/{org}/invoices/**", "/orgs/acme/invoicesx", false),
            ("/orgs/{org}/invoices/**", "/orgs/acme/%69nvoices/1", true),
            ("/orgs/{org}/invoices/**", "/orgs/acme/Invoices/1", false),
        ] {
            let found = Template::parse(template).unwrap().matches(&segments(path).unwrap());
            assert_eq!(found, matches, "{template} {path}");
        }
        let template = Template::parse("/orgs/{org}/{kind}/**").unwrap();
        let path = segments("/orgs/a%20b%c3%a4/invoices/7?org=other").unwrap();
        assert_eq!(template.variable("org", &path), Some("a bä"));
        assert_eq!(template.variable("kind", &path), Some("invoices"));
        assert_eq!(template.variable("other", &path), None);
    }

    #[test]
    fn a_path_that_others_may_read_differently_has_no_segments() {
        for path in [
            "",
            "*",
            "orgs/acme",
            "//",
            "//orgs",
            "/orgs//acme",
            "/orgs/acme//",
            "/orgs/./acme",
            "/orgs/../acme",
            "/orgs/%2e%2E/acme",
            "/orgs/a%2fb",
            "/orgs/a%5Cb",
            "/orgs/a\\b",
            "/orgs/%00",
            "/orgs/%",
            "/orgs/%4",
            "/orgs/%zz",
            "/orgs/%ff",
            "/orgs/acme/billing;x/1",
            "/orgs/acme/billing%3bx/1",
            "/orgs/acme/;/billing",
            "/orgs/acme/%2562illing",
            "/orgs/acme/100%25",
        ] {
            assert_eq!(segments(path), None, "{path}");
        }
    }

    #[test]
    fn a_template_says_what_is_wrong_with_it() {
        for (template, wrong) in [
            ("orgs", "begin with `/`"),
            ("/orgs/a**", "whole segment"),
            ("/**/orgs", "whole segments"),
            ("/orgs//acme", "empty segment"),
            ("/orgs/{}", "letters, digits"),
            ("/orgs/{o-g}", "letters, digits"),
            ("/orgs/{a}/{a}", "`a` twice"),
            ("/orgs/x{a}", "whole segments"),
            ("/orgs/%61", "`%`"),
            ("/orgs/a;b", "`;`"),
            ("/orgs/..", "`..`"),
        ] {
            let why = Template::parse(template).unwrap_err();
            assert!(why.contains(wrong), "{template}: {why}");
        }
    }
}
