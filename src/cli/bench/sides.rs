//! Measures the sides of one kind of calls in alternating rounds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::child::Server;
use super::drive::{Compared, Round, Target, compare, measure};
use super::load::Place;
use super::report::{ModeReport, Side, per_cpu_second, per_second, ratio};
use super::requests::{Mode, Requests};
use super::workload::Workload;
use super::writes::Writer;
use super::{Args, listen, own};
use crate::cli::trouble::{Failed, Trouble};
use crate::wire::frame::HEADER_BYTES;

/// Measures one kind of calls: the sides alternate, so that a slow minute of the machine is shared by all.
pub async fn measure_mode(
    args: &Args,
    workload: &Workload,
    place: &Place,
    target: &Target,
    requests: &Arc<Requests>,
    (folder, unmeasured): (&Path, Option<&Server>),
) -> Result<ModeReport, Failed> {
    let progress = spinner(requests.mode);
    let compared = verified(compare(target, requests).await?)?;
    let answer_bytes = compared.answer_bytes / requests.calls.frames.len() - HEADER_BYTES;
    let echo = match args.against_echo {
        true => Some(Server::echo(&listen(args, folder, "echo"), answer_bytes).await?),
        false => None,
    };
    let mut writer = match args.writes {
        Some(rate) => Some(Writer::prepare(place, workload, rate).await?),
        None => None,
    };
    let length = Duration::from_secs_f64(args.seconds);
    let (mut ours, mut echoes, mut written) = (Vec::new(), Vec::<Round>::new(), Vec::<Round>::new());
    let mut without = Vec::<Round>::new();
    let mut writes_per_second = 0.0;
    for round in 1..=args.rounds {
        progress.set_message(format!("{}: round {round} of {}", requests.mode.name(), args.rounds));
        ours.push(measure(target, &requests.calls, length).await?);
        if let Some(server) = unmeasured {
            let target = Target { remote: own(server), pid: Some(server.pid()), ..target.clone() };
            without.push(measure(&target, &requests.calls, length).await?);
        }
        if let Some(echo) = &echo {
            let target = Target { remote: own(echo), pid: Some(echo.pid()), ..target.clone() };
            echoes.push(measure(&target, &requests.calls, length).await?);
        }
        if let Some(writer) = &mut writer {
            let (round, rate) = writer.during(measure(target, &requests.calls, length)).await?;
            written.push(round);
            writes_per_second += rate / f64::from(args.rounds);
        }
    }
    let again = verified(compare(target, requests).await?)?;
    let per_call = requests.checks_per_call;
    let Some(rolecall) = Side::of(&ours, per_call) else {
        return Err(Trouble::new("no round was measured", "give --rounds").into());
    };
    Ok(ModeReport {
        mode: requests.mode.name(),
        checks_per_call: per_call,
        in_flight: target.in_flight,
        checks_verified: compared.checks + again.checks,
        rolecall,
        check: None,
        ratio_to_check: None,
        rate_to_check: None,
        echo: Side::of(&echoes, per_call),
        ratio_to_echo: ratio(&ours, &echoes, per_cpu_second),
        without_metrics: Side::of(&without, per_call),
        ratio_to_without_metrics: ratio(&ours, &without, per_cpu_second),
        with_writes: Side::of(&written, per_call),
        writes_per_second: writer.map(|_| writes_per_second),
        ratio_with_writes: ratio(&written, &ours, |round| Some(per_second(round))),
    })
}

/// Refuses wrong answers: a rate of wrong answers is no rate.
pub fn verified(compared: Compared) -> Result<Compared, Failed> {
    match compared.wrong {
        0 => Ok(compared),
        wrong => Err(Failed::Server(format!(
            "{wrong} of {} decisions are wrong:\n  {}",
            compared.checks,
            compared.mismatches.join("\n  ")
        ))),
    }
}

pub fn spinner(mode: Mode) -> ProgressBar {
    let progress = ProgressBar::new_spinner().with_message(format!("{}: verifying", mode.name()));
    // The template is fixed, so this does not fail.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(100));
    progress
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_answers_fail_with_the_first_of_them() {
        let compared =
            Compared { checks: 9, wrong: 2, mismatches: vec!["row 1".into(), "row 3".into()], answer_bytes: 0 };
        let Err(Failed::Server(what)) = verified(compared) else { panic!("it is no failure") };
        assert_eq!(what, "2 of 9 decisions are wrong:\n  row 1\n  row 3");
        assert!(verified(Compared::default()).is_ok());
    }
}
