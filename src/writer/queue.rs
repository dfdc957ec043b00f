//! Makes groups of the queued writes, first come first served.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::Job;
use super::commit::Committer;
use crate::limits::{GROUP_COMMANDS_MAX, GROUP_ROWS_MAX};

/// How often to try a database that took no writes, while nobody writes.
const PROBE_PAUSE: Duration = Duration::from_secs(2);

/// Commits groups until `stopped` is true and the queue is empty.
pub(super) async fn run(mut jobs: mpsc::Receiver<Job>, mut stopped: watch::Receiver<bool>, mut committer: Committer) {
    let mut carried = None;
    loop {
        let first = match carried.take() {
            Some(job) => job,
            None => tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => job,
                    None => return,
                },
                () = tokio::time::sleep(PROBE_PAUSE), if committer.is_failing() => {
                    committer.probe().await;
                    continue;
                }
                // After `close`, `recv` returns the queued jobs, then `None`.
                () = wait_for_stop(&mut stopped), if !jobs.is_closed() => {
                    jobs.close();
                    continue;
                }
            },
        };
        // Callers that were just answered may submit their next writes at once. Without this the first of them would be a group
        // alone.
        tokio::task::yield_now().await;
        let group = gather(first, || jobs.try_recv().ok(), &mut carried);
        committer.commit(group).await;
    }
}

async fn wait_for_stop(stopped: &mut watch::Receiver<bool>) {
    // An error means that the writer is gone, and nobody writes.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Returns a group with `first` and queued jobs, up to the limits. Puts a job that does not fit into `carried`.
fn gather(first: Job, mut next: impl FnMut() -> Option<Job>, carried: &mut Option<Job>) -> Vec<Job> {
    let mut rows = first.weight;
    let mut group = vec![first];
    while group.len() < GROUP_COMMANDS_MAX && rows < GROUP_ROWS_MAX {
        let Some(job) = next() else { break };
        if rows + job.weight > GROUP_ROWS_MAX {
            *carried = Some(job);
            break;
        }
        rows += job.weight;
        group.push(job);
    }
    group
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tracing::Span;

    use super::*;
    use crate::domain::commands::command::{CreatePermissions, NewPermission};
    use crate::domain::commands::group::Work;
    use crate::domain::{Call, Command, PermissionName, ProjectKey};
    use crate::writer::job::Waiting;

    fn job(rows: usize) -> Job {
        let new = NewPermission { name: PermissionName::stored("p"), description: String::new() };
        let permissions = vec![new; rows];
        let command = CreatePermissions { project: ProjectKey::default_project(), permissions, batch: true };
        let command = Command::CreatePermissions(command);
        let weight = command.weight();
        let work = Work { command, call: Call::plain("test", ""), tag: 0 };
        Job {
            waiting: Waiting::new(work, ()),
            weight,
            answer: oneshot::channel().0,
            spans: (Span::none(), Span::none()),
        }
    }

    fn sizes(rows: &[usize]) -> Vec<usize> {
        let mut queued: std::collections::VecDeque<Job> = rows.iter().map(|&rows| job(rows)).collect();
        let mut carried = None;
        let mut sizes = Vec::new();
        while let Some(first) = carried.take().or_else(|| queued.pop_front()) {
            sizes.push(gather(first, || queued.pop_front(), &mut carried).len());
        }
        sizes
    }

    #[test]
    fn a_group_is_cut_by_commands_and_by_rows_and_nothing_is_lost() {
        assert_eq!(sizes(&[1; 600]), [256, 256, 88]);
        assert_eq!(sizes(&[10_000, 10_000, 10_000]), [2, 1]);
        assert_eq!(sizes(&[1, 20_000, 1]), [1, 1, 1]);
        assert_eq!(sizes(&[30_000, 1]), [1, 1]);
    }
}
