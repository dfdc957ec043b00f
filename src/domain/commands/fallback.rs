//! Sets the fallback roles of an org (M7).

use crate::domain::commands::draft::Draft;
use crate::domain::model::fallback::Fallback;
use crate::domain::state::change::{Change, Edit, Scoped};
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// Replaces the fallback roles of an org.
pub fn set(draft: &mut Draft<'_>, project: &Project, org: &Org, fallbacks: Vec<Fallback>) {
    if fallbacks != org.fallbacks() {
        let key = Scoped { project: project.id, id: org.no };
        let after = (!fallbacks.is_empty()).then(|| fallbacks.into());
        draft.edit(Change::Fallbacks(Edit { key, before: org.fallbacks.clone(), after }));
    }
}
