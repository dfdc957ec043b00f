//! StreamCheck: checks on a stream in both directions. One future reads, decides and answers: it reads the next checks once
//! the last answers are sent, and nothing is queued.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::unfold;
use http::HeaderMap;
use tokio::task::{consume_budget, yield_now};
use tokio::time::{Sleep, sleep_until};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::StatusExt;

use super::check::{decide, makes_no_activity, question};
use super::past::is_past;
use crate::clock;
use crate::domain::{Decision, State, Time};
use crate::grpc::app::Checks;
use crate::grpc::authn::{Unknown, unknown_operator};
use crate::grpc::authz::{Authorized, Rule, authorize_as};
use crate::grpc::caller::Access;
use crate::grpc::layers::calls;
use crate::grpc::layers::deadline::{self, Deadline};
use crate::grpc::layers::error_details::detailed;
use crate::grpc::peer::Peer;
use crate::grpc::services::Reply;
use crate::grpc::{convert, status};
use crate::limits::{SMALL_CALL_BYTES, STREAM_CHECKS_MAX};
use crate::wire::consistency::Requirement;
use crate::wire::{
    CheckRequest, Consistency, NumberedAnswer, NumberedCheck, StreamCheckError, StreamCheckRequest,
    StreamCheckResponse, timestamp,
};

/// The answers of a stream.
pub type Answers = Pin<Box<dyn Stream<Item = Result<StreamCheckResponse, Status>> + Send>>;

/// A check of a stream. It is authorized as a call of Check.
struct Asked<'a>(&'a CheckRequest);

impl Authorized for Asked<'_> {
    const RULE: &'static Rule = <StreamCheckRequest as Authorized>::RULE;

    fn project(&self) -> Option<&str> {
        self.0.project()
    }

    fn org_id(&self) -> &str {
        self.0.org_id()
    }

    fn is_only_about(&self, org_id: &str) -> bool {
        self.0.is_only_about(org_id)
    }
}

pub fn stream_check(app: Arc<Checks>, request: Request<Streaming<StreamCheckRequest>>) -> Reply<Answers> {
    let end = request.extensions().get::<Deadline>().map(|&Deadline(at)| Box::pin(sleep_until(at)));
    let peer = calls::with_access(|access| access.peer.clone()).unwrap_or_default();
    let (metadata, _, requests) = request.into_parts();
    let open = Open { app, peer, headers: metadata.into_headers(), requests, last: None, end };
    let answers = unfold(Some(open), |open| async {
        let mut open = open?;
        match open.next().await {
            Ok(answer) => answer.map(|answer| (Ok(answer), Some(open))),
            Err(status) => Some((Err(status), None)),
        }
    });
    Ok(Response::new(Box::pin(answers)))
}

/// An open stream.
struct Open {
    app: Arc<Checks>,
    peer: Arc<Peer>,
    /// They have the credentials, which are judged again for each answer: they may have been taken away.
    headers: HeaderMap,
    requests: Streaming<StreamCheckRequest>,
    /// What ended the client's side, if that was found while checks waited for their answers.
    last: Option<Result<(), Status>>,
    /// The deadline of the call.
    end: Option<Pin<Box<Sleep>>>,
}

impl Open {
    /// Answers the next checks. `None` at the end of the client's side.
    async fn next(&mut self) -> Result<Option<StreamCheckResponse>, Status> {
        let Some(checks) = self.read().await? else { return Ok(None) };
        // The other calls of this thread go on, also if the client always has more.
        match checks.len() {
            STREAM_CHECKS_MAX.. => yield_now().await,
            _ => consume_budget().await,
        }
        let response = self.answer(&checks)?;
        drop(checks);
        calls::give_back_messages();
        Ok(Some(response))
    }

    /// Waits for a message, and takes the others that are there already: one answer costs less than many.
    async fn read(&mut self) -> Result<Option<Vec<NumberedCheck>>, Status> {
        if let Some(last) = self.last.take() {
            return last.map(|()| None);
        }
        let Some(mut checks) = poll_fn(|cx| self.poll_message(cx)).await? else { return Ok(None) };
        for _ in 1..STREAM_CHECKS_MAX {
            if checks.len() >= STREAM_CHECKS_MAX || calls::taken_for_messages() > SMALL_CALL_BYTES {
                break;
            }
            match poll_fn(|cx| Poll::Ready(self.poll_message(cx))).await {
                Poll::Ready(Ok(Some(more))) => checks.extend(more),
                Poll::Ready(last) => {
                    self.last = Some(last.map(|_| ()));
                    break;
                }
                Poll::Pending => break,
            }
        }
        Ok(Some(checks))
    }

    /// Returns the checks of the next message.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<NumberedCheck>>, Status>> {
        // First: a client may always have more.
        if self.end.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Err(deadline::passed()));
        }
        if let Poll::Ready(message) = Pin::new(&mut self.requests).poll_next(cx) {
            return Poll::Ready(match message.transpose() {
                Ok(Some(StreamCheckRequest { checks })) => {
                    convert::at_most("checks", checks.len(), STREAM_CHECKS_MAX).map(|()| Some(checks))
                }
                Ok(None) => Ok(None),
                Err(status) => Err(detailed(Asked::RULE.method, status)),
            });
        }
        Poll::Pending
    }

    /// Answers checks from the newest State and one clock reading. Fails if the caller may call no more.
    fn answer(&self, checks: &[NumberedCheck]) -> Result<StreamCheckResponse, Status> {
        self.app.source.check_fresh()?;
        let (published, now) = (self.app.engine.pin(), clock::now());
        let access = self.access(&published.state, now)?;
        let rate = self.app.callers.rate(&access.caller);
        let mut answers = Vec::with_capacity(checks.len());
        for NumberedCheck { number, check } in checks {
            let admitted = rate.as_ref().map_or(Ok(()), |rate| rate.take(now));
            let decided = admitted.and_then(|()| self.decide(&access, &published.state, check.as_ref(), now));
            answers.push(match decided {
                Ok(decision) => NumberedAnswer { number: *number, decision: decision as i32, error: None },
                Err(status) if status.code() == Code::Unauthenticated => return Err(status),
                Err(status) => NumberedAnswer { number: *number, error: Some(error(&status)), ..Default::default() },
            });
        }
        self.app.metrics.stream_checked(answers.iter().map(|answer| answer.decision));
        let (revision, evaluated_at) = (published.token.to_string(), Some(timestamp(now)));
        Ok(StreamCheckResponse { answers, revision, evaluated_at })
    }

    /// Finds out who calls now.
    fn access(&self, state: &State, now: Time) -> Result<Access, Status> {
        let caller = self.app.authentication.caller(state, &self.headers, &self.peer, now);
        let caller = caller.map_err(|unknown| {
            self.app.engine.denials.record_unauthenticated();
            match unknown {
                Unknown::No(status) => status,
                // It was an operator when the stream began.
                Unknown::Provisionable(command) => unknown_operator(command.user_id.as_str()),
            }
        })?;
        Ok(Access { caller, engine: self.app.engine.clone(), peer: self.peer.clone(), in_flight: None })
    }

    fn decide(
        &self,
        access: &Access,
        state: &State,
        check: Option<&CheckRequest>,
        now: Time,
    ) -> Result<Decision, Status> {
        let check = check.ok_or_else(|| status::invalid("check", "must be set"))?;
        authorize_as(access, &Asked(check))?;
        convert::own_ids(&check.org_id, &check.user_id).map_err(|(field, why)| status::invalid(field, why))?;
        let question = question(check)?;
        if is_past(check) {
            let field = if check.as_of_time.is_some() { "as_of_time" } else { "as_of_revision" };
            return Err(status::invalid(field, "must not be set in a stream; use Check"));
        }
        match check.consistency.as_ref().and_then(|Consistency { requirement }| requirement.as_ref()) {
            None | Some(Requirement::Any(true)) => {}
            Some(_) => return Err(status::invalid("consistency", "must not be set in a stream; use Check")),
        }
        decide(&self.app, state, check, question, makes_no_activity(&access.caller), now)
    }
}

/// Returns the error of a check whose call would have this status.
fn error(status: &Status) -> StreamCheckError {
    let violation = status.get_details_bad_request().and_then(|bad| bad.field_violations.into_iter().next());
    StreamCheckError {
        reason: status.get_details_error_info().map(|info| info.reason).unwrap_or_default(),
        field: violation.map(|violation| violation.field).unwrap_or_default(),
        description: status.message().into(),
    }
}
