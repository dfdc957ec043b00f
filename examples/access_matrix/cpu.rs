//! CPU time of the server, as Linux measures it.

use std::fs;
use std::time::Duration;

/// The name of the threads of a server that runs in this process.
pub const SERVER_THREAD: &str = "server";

/// The process or threads to measure.
#[derive(Clone, Copy)]
pub enum Of {
    Process(u32),
    /// The threads of this process that are named [`SERVER_THREAD`].
    ServerThreads,
}

/// User and system time so far, in ticks.
#[derive(Clone, Copy)]
pub struct Cpu(u64);

/// Ticks per second. Linux uses this number in all that it reports to programs.
const TICKS: u64 = 100;

impl Cpu {
    /// Returns the time so far. `None` if there is nothing to measure or no `/proc`.
    pub fn now(of: Option<Of>) -> Result<Option<Self>, String> {
        match of {
            None => Ok(None),
            Some(Of::Process(pid)) => match read(&format!("/proc/{pid}/stat")) {
                Some((_, cpu)) => Ok(Some(cpu)),
                None => Err(format!("there is no process {pid} to measure; give the server's --pid")),
            },
            Some(Of::ServerThreads) => {
                let Ok(threads) = fs::read_dir("/proc/self/task") else { return Ok(None) };
                let stats = threads.flatten().filter_map(|thread| read(thread.path().join("stat").to_str()?));
                Ok(Some(Self(stats.filter(|(name, _)| name == SERVER_THREAD).map(|(_, cpu)| cpu.0).sum())))
            }
        }
    }

    pub fn since(self, before: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(before.0) * 1_000 / TICKS)
    }
}

/// Returns the name of a process or thread and its time: fields 2, 14 and 15 of its `stat`.
fn read(path: &str) -> Option<(String, Cpu)> {
    let text = fs::read_to_string(path).ok()?;
    // The name is in parentheses and may contain any character.
    let (front, rest) = text.rsplit_once(") ")?;
    let name = front.split_once('(')?.1.to_owned();
    let mut fields = rest.split(' ').skip(11).map(|field| field.parse::<u64>().ok());
    Some((name, Cpu(fields.next()?? + fields.next()??)))
}
