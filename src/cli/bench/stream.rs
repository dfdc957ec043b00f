//! Checks on streams beside calls of Check, with as many in flight. A client sends a check only when one is answered.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::Request;

use super::Args;
use super::drive::{self, Compared, Round, Session, Tally, Target, compare, failed, header, on_thread};
use super::report::{ModeReport, Side, per_cpu_second, per_second, ratio};
use super::requests::{Mode, Requests};
use crate::cli::trouble::{Failed, Trouble};
use crate::wire::frame::{HEADER_BYTES, frame, unframe};
use crate::wire::{NumberedAnswer, StreamCheckResponse};

/// Measures a mode of StreamCheck, in turn with Check.
pub async fn beside_check(
    args: &Args,
    target: &Target,
    requests: &Arc<Requests>,
    unary: &Arc<Requests>,
) -> Result<ModeReport, Failed> {
    let progress = super::sides::spinner(requests.mode);
    let before = super::sides::verified(compare_all(target, requests).await?)?;
    let checks = super::sides::verified(compare(target, unary).await?)?;
    let length = Duration::from_secs_f64(args.seconds);
    let (mut streams, mut calls) = (Vec::new(), Vec::<Round>::new());
    for round in 1..=args.rounds {
        progress.set_message(format!("{}: round {round} of {}", requests.mode.name(), args.rounds));
        streams.push(measure(target, requests, length).await?);
        calls.push(drive::measure(target, &unary.calls, length).await?);
    }
    let again = super::sides::verified(compare_all(target, requests).await?)?;
    let Some(rolecall) = Side::of(&streams, 1) else {
        return Err(Trouble::new("no round was measured", "give --rounds").into());
    };
    Ok(ModeReport {
        mode: requests.mode.name(),
        checks_per_call: 1,
        in_flight: target.in_flight,
        checks_verified: before.checks + checks.checks + again.checks,
        rolecall,
        check: Side::of(&calls, 1),
        ratio_to_check: ratio(&streams, &calls, per_cpu_second),
        rate_to_check: ratio(&streams, &calls, |round| Some(per_second(round))),
        echo: None,
        ratio_to_echo: None,
        without_metrics: None,
        ratio_to_without_metrics: None,
        with_writes: None,
        writes_per_second: None,
        ratio_with_writes: None,
    })
}

/// Sends checks again and again, and counts.
async fn measure(target: &Target, requests: &Arc<Requests>, length: Duration) -> Result<Round, Trouble> {
    let (target, requests) = (target.clone(), requests.clone());
    on_thread(async move || {
        let session = Session::open(&target, requests.calls.clone()).await?;
        let tally = Rc::new(Tally::default());
        let working = session.work(target.connections, |session, client| {
            let (tally, requests) = (tally.clone(), requests.clone());
            async move {
                let mut begun = vec![None::<Instant>; requests.calls.frames.len()];
                let mut open = Open::begin(&session, &client, requests.mode == Mode::StreamSingles).await?;
                let mut free = target.in_flight / target.connections;
                while !tally.stops.get() {
                    let numbers: Vec<usize> = (0..free).map(|_| session.next()).collect();
                    let now = Instant::now();
                    numbers.iter().for_each(|&number| begun[number] = Some(now));
                    open.send(&session, &numbers).map_err(|error| failed(&session.address, &error))?;
                    let answers = open.answers().await.map_err(|error| failed(&session.address, &error))?;
                    free = answers.len();
                    for answer in answers {
                        let Some(began) = begun.get_mut(answer.number as usize).and_then(Option::take) else {
                            return Err(failed(&session.address, &"an answer has a number that was not asked"));
                        };
                        tally.add(began);
                    }
                }
                Ok(())
            }
        });
        tally.round(&target, length, working).await
    })
    .await
}

/// Sends each check once, and compares each decision with the expected one.
async fn compare_all(target: &Target, requests: &Arc<Requests>) -> Result<Compared, Trouble> {
    let (target, requests) = (target.clone(), requests.clone());
    on_thread(async move || {
        let session = Session::open(&target, requests.calls.clone()).await?;
        let found = Rc::new(RefCell::new(Compared::default()));
        session
            .work(1, |session, client| {
                let (found, requests) = (found.clone(), requests.clone());
                async move {
                    let address = session.address.clone();
                    let failed = |error: String| failed(&address, &error);
                    let mut open = Open::begin(&session, &client, requests.mode == Mode::StreamSingles).await?;
                    let all: Vec<usize> = (0..requests.calls.frames.len()).collect();
                    for numbers in all.chunks(target.in_flight) {
                        open.send(&session, numbers).map_err(failed)?;
                        let mut answered = 0;
                        while answered < numbers.len() {
                            for answer in open.answers().await.map_err(failed)? {
                                let compared = requests.compare(answer.number as usize, &frame(&answer));
                                found.borrow_mut().add(compared.map_err(failed)?);
                                answered += 1;
                            }
                        }
                    }
                    Ok(())
                }
            })
            .await?;
        Ok(found.take())
    })
    .await
}

/// An open stream.
struct Open {
    singles: bool,
    requests: SendStream<Bytes>,
    answers: RecvStream,
    /// Bytes of answers that are not whole yet.
    read: BytesMut,
}

impl Open {
    async fn begin(session: &Session, client: &SendRequest<Bytes>, singles: bool) -> Result<Self, Trouble> {
        let begin = async {
            let mut client = client.clone().ready().await?;
            let (head, requests) = client.send_request(Request::from_parts(session.template.clone(), ()), false)?;
            Ok::<_, h2::Error>((head.await?, requests))
        };
        let (head, requests) = begin.await.map_err(|error| failed(&session.address, &error))?;
        if let Some(status) = header(head.headers(), "grpc-status") {
            return Err(failed(&session.address, &format!("gRPC status {status}")));
        }
        Ok(Self { singles, requests, answers: head.into_body(), read: BytesMut::new() })
    }

    /// Sends checks: together, or each in a message of its own.
    fn send(&mut self, session: &Session, numbers: &[usize]) -> Result<(), String> {
        for numbers in numbers.chunks(if self.singles { 1 } else { numbers.len().max(1) }) {
            let checks = numbers.iter().map(|&number| &session.calls.frames[number]);
            let length: usize = checks.clone().map(Bytes::len).sum();
            let mut message = BytesMut::with_capacity(HEADER_BYTES + length);
            message.put_u8(0);
            message.put_u32(length as u32);
            checks.for_each(|check| message.put_slice(check));
            self.requests.send_data(message.freeze(), false).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Waits for answers. Returns those that have arrived.
    async fn answers(&mut self) -> Result<Vec<NumberedAnswer>, String> {
        let mut answers = Vec::new();
        while answers.is_empty() {
            let Some(chunk) = self.answers.data().await else { return Err("the stream has ended".into()) };
            let chunk = chunk.map_err(|error| error.to_string())?;
            self.answers.flow_control().release_capacity(chunk.len()).map_err(|error| error.to_string())?;
            self.read.extend_from_slice(&chunk);
            while let Some(&[_, length @ ..]) = self.read.first_chunk::<HEADER_BYTES>() {
                let length = u32::from_be_bytes(length) as usize;
                if self.read.len() < HEADER_BYTES + length {
                    break;
                }
                let message = unframe::<StreamCheckResponse>(&self.read.split_to(HEADER_BYTES + length));
                answers.extend(message.map_err(|error| error.to_string())?.answers);
            }
        }
        Ok(answers)
    }
}
