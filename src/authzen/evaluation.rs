//! Access Evaluation and Access Evaluations.

use prost::Message;
use serde::Serialize;
use tonic::{Request, Status};

use super::Api;
use super::answer::{ErrorBody, error_body};
use super::entities::{Action, Entity, Evaluation, Evaluations, consistency, required};
use crate::grpc::authz::authorize;
use crate::grpc::convert;
use crate::grpc::layers::calls::take_for_decoding;
use crate::grpc::services::{batch_check, check};
use crate::grpc::status;
use crate::limits::EVALUATIONS_MAX;
use crate::wire::batch_check::BatchCheckBody;
use crate::wire::{BatchCheckRequest, CheckItem, CheckRequest, Consistency, Decision, ErrorReason, check_request};

/// The reason of a denial because a subject or a resource has a type that is not accepted.
const UNKNOWN_TYPE: &str = "UNKNOWN_TYPE";

/// A decision, and why.
#[derive(Serialize)]
pub struct Decided {
    decision: bool,
    context: Context,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Context {
    /// The decision of the check without its prefix, for example `MISSING_PERMISSION`.
    Decision {
        reason: String,
        revision: String,
    },
    Type {
        reason: &'static str,
    },
    Error {
        error: ErrorBody,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Answer {
    One(Decided),
    All { evaluations: Vec<Decided> },
}

impl Decided {
    fn new(decision: Decision, revision: String) -> Self {
        let reason = decision.as_str_name().trim_start_matches("DECISION_").into();
        Self { decision: decision == Decision::Allowed, context: Context::Decision { reason, revision } }
    }

    fn unknown_type() -> Self {
        Self { decision: false, context: Context::Type { reason: UNKNOWN_TYPE } }
    }

    fn failed(why: &Status) -> Self {
        Self { decision: false, context: Context::Error { error: error_body(why) } }
    }
}

/// What is asked, and whether the types are accepted.
struct Question<'a> {
    user_id: &'a str,
    permission: &'a str,
    org_id: &'a str,
    known_types: bool,
}

impl Api {
    fn question<'a>(
        &'a self,
        subject: Option<&'a Entity>,
        action: Option<&'a Action>,
        resource: Option<&'a Entity>,
    ) -> Result<Question<'a>, Status> {
        let subject = required("subject", subject)?;
        let resource = required("resource", resource)?;
        let known_types = self.knows(subject.kind("subject")?, resource.kind("resource")?);
        Ok(Question {
            user_id: subject.id("subject")?,
            permission: self.settings.actions.permission(required("action", action)?)?,
            org_id: resource.id("resource")?,
            known_types,
        })
    }

    /// Returns true if subjects of the one type are users, and resources of the other are orgs.
    pub fn knows(&self, subject: &str, resource: &str) -> bool {
        is_accepted(&self.settings.subject_types, subject) && is_accepted(&self.settings.resource_types, resource)
    }
}

fn is_accepted(accepted: &[String], kind: &str) -> bool {
    accepted.is_empty() || accepted.iter().any(|accepted| accepted == kind)
}

/// Answers one evaluation.
pub async fn one(api: &Api, project: String, asked: &Evaluation) -> Result<Decided, Status> {
    let question = api.question(asked.subject.as_ref(), asked.action.as_ref(), asked.resource.as_ref())?;
    let request = CheckRequest {
        project,
        org_id: question.org_id.into(),
        user_id: question.user_id.into(),
        question: Some(check_request::Question::Permission(question.permission.into())),
        consistency: consistency(asked.options.as_ref()),
        ..CheckRequest::default()
    };
    authorize(&request)?;
    if !question.known_types {
        api.reach(&request.project, request.consistency.as_ref()).await?;
        return Ok(Decided::unknown_type());
    }
    let answer = check::check(&api.checks, Request::new(request)).await?.into_inner();
    Ok(Decided::new(answer.decision(), answer.revision))
}

/// Answers a list of evaluations from one revision. Without a list it is one evaluation.
pub async fn all(api: &Api, project: String, asked: Evaluations) -> Result<Answer, Status> {
    let (defaults, evaluations, semantic) = asked.parts();
    if evaluations.is_empty() {
        return one(api, project, &defaults).await.map(Answer::One);
    }
    authorize(&BatchCheckRequest { project: project.clone(), ..BatchCheckRequest::default() })?;
    convert::at_most("evaluations", evaluations.len(), EVALUATIONS_MAX.min(api.checks.limits.batch_check_items))?;
    // `None` is answered by the batch.
    let mut decided = Vec::with_capacity(evaluations.len());
    let mut items = Vec::new();
    for evaluation in &evaluations {
        let question = api.question(
            evaluation.subject.as_ref().or(defaults.subject.as_ref()),
            evaluation.action.as_ref().or(defaults.action.as_ref()),
            evaluation.resource.as_ref().or(defaults.resource.as_ref()),
        );
        decided.push(match question {
            Err(why) => Some(Decided::failed(&why)),
            Ok(question) if !question.known_types => Some(Decided::unknown_type()),
            Ok(Question { user_id, permission, org_id, .. }) => {
                // A default is copied for each evaluation, and all items are encoded once.
                take_for_decoding(2 * (size_of::<CheckItem>() + org_id.len() + user_id.len() + permission.len()))?;
                items.push(CheckItem { org_id: org_id.into(), user_id: user_id.into(), permission: permission.into() });
                None
            }
        });
    }
    let mut checked = checked(api, project, items, consistency(defaults.options.as_ref())).await?.into_iter();
    let mut answered = Vec::with_capacity(decided.len());
    for known in decided {
        let missing =
            || status::plain(ErrorReason::Internal, "an evaluation was not decided; this is a bug, please report it");
        let one = known.or_else(|| checked.next()).ok_or_else(missing)?;
        let last = semantic.ends_with(one.decision);
        answered.push(one);
        if last {
            break;
        }
    }
    Ok(Answer::All { evaluations: answered })
}

/// Decides on the well-formed evaluations, in their order.
async fn checked(
    api: &Api,
    project: String,
    items: Vec<CheckItem>,
    consistency: Option<Consistency>,
) -> Result<Vec<Decided>, Status> {
    let request = BatchCheckRequest { project, items, consistency, ..BatchCheckRequest::default() };
    let body =
        BatchCheckBody::decode(&*request.encode_to_vec()).map_err(|error| status::malformed(&error.to_string()))?;
    let answer = batch_check::batch_check(&api.checks, Request::new(body)).await?.into_inner();
    let revision = String::from_utf8_lossy(&answer.revision).into_owned();
    let mut errors = answer.errors.iter().peekable();
    let decide = |(at, number): (usize, &u8)| match Decision::try_from(i32::from(*number)).unwrap_or_default() {
        Decision::Unspecified => {
            let error = errors.next_if(|error| usize::try_from(error.index) == Ok(at));
            Decided::failed(&match error {
                Some(error) if *error.reason == *ErrorReason::ApiKeyScope.as_str_name().as_bytes() => {
                    status::plain(ErrorReason::ApiKeyScope, "the API key is only for another org")
                }
                Some(error) => status::invalid(String::from_utf8_lossy(&error.field), &error.description),
                None => status::plain(ErrorReason::InvalidField, "malformed, as those before it"),
            })
        }
        decision => Decided::new(decision, revision.clone()),
    };
    Ok(answer.decisions.iter().enumerate().map(decide).collect())
}
