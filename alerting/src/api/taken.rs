//! What a request brings, read within bounds: path, query and JSON. What can't be read is a problem that names its field.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, header, request::Parts},
};
use serde::{Deserialize as _, Deserializer, de};

use super::{
    Api,
    problem::{Answer, Problem},
};
use crate::text::FreeText;

const KEY_HEADER: &str = "idempotency-key";
/// Longest reason of a view, and longest text of a grant, characters.
pub(super) const MAX_REASON: usize = 200;

/// A JSON body.
pub(super) struct Body<T>(pub T);

/// A query.
pub(super) struct Query<T>(pub T);

/// The variable parts of a path; one that names nothing is not found.
pub(super) struct Named<T>(pub T);

impl<T: de::DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Answer<Self> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::unsupported("send JSON, with content-type: application/json"));
        }
        let bytes = Bytes::from_request(request, api)
            .await
            .map_err(|rejected| Problem::new(rejected.status(), "bad request", rejected.body_text()))?;
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let read = serde_path_to_error::deserialize(&mut json).map_err(|error| at(error.path(), error.inner()))?;
        json.end().map_err(|error| Problem::field("body", error.to_string()))?;
        Ok(Self(read))
    }
}

impl<T: de::DeserializeOwned> FromRequestParts<Api> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Answer<Self> {
        let query = parts.uri.query().unwrap_or_default();
        let query = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(query).map(Self).map_err(|error| at(error.path(), error.inner()))
    }
}

impl<T: de::DeserializeOwned + Send> FromRequestParts<Api> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Answer<Self> {
        let named = Path::<T>::from_request_parts(parts, api).await;
        named.map(|Path(named)| Self(named)).map_err(|_| Problem::not_found())
    }
}

/// A key of a closed list that this program doesn't have.
pub(super) fn unknown(field: &str, given: &str) -> Problem {
    Problem::field(field, format!("{:?} is not known", given.chars().take(40).collect::<String>()))
}

/// What is wrong stands in serde's words; a field that is missing or not known is named in them, for it has no place of its own.
fn at(path: &serde_path_to_error::Path, error: &dyn std::error::Error) -> Problem {
    let detail = error.to_string();
    let quoted = detail.strip_prefix("missing field `").or_else(|| detail.strip_prefix("unknown field `"));
    let quoted =
        quoted.and_then(|rest| rest.split_once('`')).map(|(field, _)| field.chars().take(64).collect::<String>());
    let place = path.to_string();
    let field = match (place.as_str(), quoted) {
        (".", Some(field)) => field,
        (".", None) => "body".to_owned(),
        (_, Some(field)) if !place.ends_with(&field) => format!("{place}.{field}"),
        _ => place.chars().take(128).collect(),
    };
    Problem::field(&field, detail)
}

/// How many rows a page has: 50 when nothing is said, at most 200.
pub(super) fn read_limit(limit: Option<usize>) -> Answer<usize> {
    match limit.unwrap_or(50) {
        limit @ 1..=200 => Ok(limit),
        _ => Err(Problem::field("limit", "must be 1 to 200")),
    }
}

/// A whole number, also where JSON writes it as `7.0`.
pub(super) fn whole<'de, D: Deserializer<'de>, N: TryFrom<u64>>(json: D) -> Result<N, D::Error> {
    let number = serde_json::Number::deserialize(json)?;
    let is_whole = |float: &f64| float.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(float);
    let whole = number.as_u64().or_else(|| number.as_f64().filter(is_whole).map(|float| float as u64));
    let refuse = || de::Error::custom(format!("{number} is no whole number that fits here"));
    whole.and_then(|whole| whole.try_into().ok()).ok_or_else(refuse)
}

/// The same, or nothing.
pub(super) fn whole_or_none<'de, D: Deserializer<'de>, N: TryFrom<u64>>(json: D) -> Result<Option<N>, D::Error> {
    struct Whole<N>(N);
    impl<'de, N: TryFrom<u64>> serde::Deserialize<'de> for Whole<N> {
        fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
            whole(json).map(Self)
        }
    }
    Ok(Option::<Whole<N>>::deserialize(json)?.map(|Whole(whole)| whole))
}

/// The key under which a changing request may be repeated.
pub(super) fn read_key(headers: &HeaderMap) -> Answer<String> {
    let key = headers.get(KEY_HEADER).and_then(|key| key.to_str().ok()).unwrap_or_default();
    if (8..=128).contains(&key.len()) {
        return Ok(key.to_owned());
    }
    Err(Problem::field(KEY_HEADER, "send the header idempotency-key with 8 to 128 characters"))
}

/// A code or id: what is longer names nothing.
pub(super) fn read_code(field: &str, code: String) -> Answer<String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&code.len()) && code.bytes().all(known) {
        return Ok(code);
    }
    Err(Problem::field(field, "must be 1 to 64 of a-z A-Z 0-9 . _ -"))
}

/// Free text.
pub(super) fn read_free_text(field: &str, text: String) -> Answer<FreeText> {
    FreeText::try_from(text).map_err(|invalid| Problem::field(field, invalid.to_string()))
}

/// Free text of at most so many characters.
pub(super) fn read_text(field: &str, text: String, max_chars: usize) -> Answer<String> {
    let text = read_free_text(field, text)?;
    if text.as_str().chars().count() > max_chars {
        return Err(Problem::field(field, format!("write 1 to {max_chars} characters")));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Asked {
        #[serde(deserialize_with = "whole")]
        version: u64,
        inner: Option<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        name: String,
    }

    #[test]
    fn what_is_wrong_names_its_field() {
        let check = |json: &str, expected: Option<&str>| {
            let read = serde_path_to_error::deserialize::<_, Asked>(&mut serde_json::Deserializer::from_str(json));
            let field =
                read.err().map(|error| at(error.path(), error.inner()).of_field().unwrap_or_default().to_owned());
            assert_eq!(field.as_deref(), expected, "{json}");
        };
        check(r#"{"version":7}"#, None);
        check(r#"{"version":7.0}"#, None);
        check(r#"{"version":7.5}"#, Some("version"));
        check(r#"{"version":-1}"#, Some("version"));
        check(r#"{"version":"7"}"#, Some("version"));
        check(r"{}", Some("version"));
        check(r#"{"version":7,"face":1}"#, Some("face"));
        check(r#"{"version":7,"inner":{}}"#, Some("inner.name"));
        check(r#"{"version":7,"inner":{"name":1}}"#, Some("inner.name"));
        check(r"[", Some("body"));
    }
}
