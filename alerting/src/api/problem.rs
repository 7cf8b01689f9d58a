//! The one place where an error becomes an HTTP answer: the client gets a safe message, the log gets the cause.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{person::UNTRAINED, shapes::ProblemBody};
use crate::{
    access::Denied,
    accounts::{AccountError, tokens::TokenError},
    error_chain,
    grant::{Refused, Unfit},
    store::{StoreError, commands::Rejection, grants},
    workflow::RefusedCommand,
};

/// What a handler answers.
pub(super) type Answer<T> = Result<T, Problem>;

/// An error as the client sees it.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
    field: Option<String>,
    retry_after_s: Option<u64>,
}

impl Problem {
    pub fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into(), field: None, retry_after_s: None }
    }

    pub fn unauthorized() -> Self {
        Self::signed_out("sign in first")
    }

    pub fn signed_out(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not signed in", detail)
    }

    pub fn forbidden(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not allowed", detail)
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found", "there is no such thing here")
    }

    pub fn unsupported(detail: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad request", detail)
    }

    /// Too many; there is room again after so many seconds.
    pub fn too_many(detail: &str, retry_after_s: u64) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too many requests", detail.to_owned());
        Self { retry_after_s: Some(retry_after_s), ..problem }
    }

    pub fn unavailable(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not available", detail)
    }

    pub fn field(field: &str, detail: impl Into<String>) -> Self {
        let field = Some(field.to_owned());
        Self { field, ..Self::new(StatusCode::BAD_REQUEST, "bad request", detail) }
    }
}

#[cfg(test)]
impl Problem {
    /// The field that is wrong.
    pub fn of_field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, title, detail, field, retry_after_s } = self;
        let body = ProblemBody {
            r#type: "about:blank".to_owned(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail,
            field,
        };
        let body = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = error_chain(&error), "request failed in the store");
        Self::unavailable("the store does not answer; try again")
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Wrong => Self::new(StatusCode::UNAUTHORIZED, "not signed in", error.to_string()),
            AccountError::Throttled(seconds) | AccountError::TooOften(seconds) => {
                Self::too_many(&error.to_string(), seconds)
            }
            other => {
                tracing::error!(error = error_chain(&other), "sign-in failed");
                Self::unavailable("accounts can't be read; try again")
            }
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let detail = error.to_string();
        match error {
            TokenError::Unknown => Self::new(StatusCode::UNAUTHORIZED, "not signed in", detail),
            TokenError::OtherPurpose => Self::forbidden(&detail),
            TokenError::Denied(denied) => denied.into(),
            TokenError::TooOften(seconds) => Self::too_many(&detail, seconds),
            TokenError::Store(error) => error.into(),
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        if denied.rules().iter().any(|rule| rule == UNTRAINED) {
            return Self::forbidden(
                "this account's training and confidentiality record is missing or has ended; an administrator records it \
                 (P20-training)",
            );
        }
        Self::forbidden(&denied.to_string())
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::Unknown => Self::not_found(),
            Rejection::Denied(denied) => denied.into(),
            Rejection::Version(_) => Self::new(StatusCode::CONFLICT, "changed meanwhile", detail),
            Rejection::KeyReused => Self::new(StatusCode::CONFLICT, "key used before", detail),
            Rejection::Workflow(refused) => match refused {
                RefusedCommand::Unlisted { .. } | RefusedCommand::Condition(_) => {
                    Self::new(StatusCode::CONFLICT, "not possible now", detail)
                }
                RefusedCommand::Role(_) | RefusedCommand::Separation(_) => Self::forbidden(&detail),
                RefusedCommand::Reason(_) => Self::field("reason", detail),
                RefusedCommand::Field(field, _) => Self::field(&format!("fields.{field}"), detail),
            },
        }
    }
}

impl From<grants::Rejection> for Problem {
    fn from(rejection: grants::Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            grants::Rejection::Unknown => Self::not_found(),
            grants::Rejection::Denied(denied) => denied.into(),
            grants::Rejection::Unfit(Unfit { field, cure }) => Self::field(field, cure),
            grants::Rejection::Version(_) => Self::new(StatusCode::CONFLICT, "changed meanwhile", detail),
            grants::Rejection::KeyReused => Self::new(StatusCode::CONFLICT, "key used before", detail),
            grants::Rejection::NotNow(_) => Self::new(StatusCode::CONFLICT, "not possible now", detail),
            grants::Rejection::Refused(Refused::NotNow(_) | Refused::SeatTaken(_)) => {
                Self::new(StatusCode::CONFLICT, "not possible now", detail)
            }
            grants::Rejection::Refused(_) => Self::forbidden(&detail),
        }
    }
}
