//! Reads when orgs were active (U4).

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::domain::model::id::{OrgNo, ProjectId};
use crate::domain::model::time::Day;
use crate::store::connect::LONG_MAX;
use crate::store::ids::{id, number, unreadable};
use crate::store::schema::org_activity::{Column, Entity};
use crate::store::{Store, StoreError};

impl Store {
    /// Returns the orgs of a project that were active on a day or later, with the last such day of each. They may include
    /// deleted orgs.
    pub async fn active_orgs(&self, project: ProjectId, since: Day) -> Result<Vec<(OrgNo, Day)>, StoreError> {
        let find = Entity::find().select_only().columns([Column::Org, Column::LastActiveDay]);
        let find = find.filter(Column::Project.eq(number(project))).filter(Column::LastActiveDay.gte(since.0));
        let read = async { Ok(find.into_tuple::<(i64, i64)>().all(self.reads()).await?) };
        let rows = match self.answered(LONG_MAX, read).await {
            Err(error) => return Err(self.failed(error).await),
            Ok(rows) => rows,
        };
        let day = |day: i64| u16::try_from(day).map(Day).map_err(|_| unreadable("a day that is no day"));
        rows.into_iter().map(|(org, last)| Ok((id(org)?, day(last)?))).collect()
    }
}
