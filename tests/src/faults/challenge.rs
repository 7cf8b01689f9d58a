//! The account side of a scripted camera: what it asks, and whether an answer is right.

use http_auth::{DigestClient, PasswordParams, parse_challenges};

use super::Quirk;
use super::scripted::{PASSWORD, USER};

/// The `WWW-Authenticate` lines of a refusal.
pub(super) fn lines(quirk: Quirk, nonce: &str, stale: bool) -> String {
    let basic = "WWW-Authenticate: Basic realm=\"street\"\r\n";
    let digest = format!("WWW-Authenticate: {}\r\n", digest(quirk, nonce, stale));
    match quirk {
        Quirk::BasicOnly | Quirk::AsksBasicAtSetup => basic.to_owned(),
        Quirk::BasicAndDigest => format!("{basic}{digest}"),
        _ => digest,
    }
}

/// True when `authorization` is the right answer to a challenge with `nonce`.
pub(super) fn is_right(quirk: Quirk, nonce: &str, method: &str, authorization: &str) -> bool {
    if matches!(quirk, Quirk::BasicOnly | Quirk::AsksBasicAtSetup) {
        return authorization == "Basic b3BlcmF0b3I6c3RyZWV0LXBhc3N3b3Jk";
    }
    let Some(uri) = field(authorization, "uri") else { return false };
    let challenge = digest(quirk, nonce, false);
    let Ok(challenges) = parse_challenges(&challenge) else { return false };
    let Some(mut client) = challenges.first().and_then(|challenge| DigestClient::try_from(challenge).ok()) else {
        return false;
    };
    let parameters = PasswordParams { username: USER, password: PASSWORD, uri, method, body: Some(&[]) };
    let cnonce = field(authorization, "cnonce").unwrap_or_default();
    let nth = field(authorization, "nc").and_then(|nc| u32::from_str_radix(nc, 16).ok()).unwrap_or(1).min(1000);
    let answers = (0..nth).map(|_| client.respond_with_testing_cnonce(&parameters, cnonce));
    let expected = answers.last().and_then(Result::ok).unwrap_or_default();
    field(authorization, "nonce") == Some(nonce) && field(authorization, "response") == field(&expected, "response")
}

fn digest(quirk: Quirk, nonce: &str, stale: bool) -> String {
    let qop = if quirk == Quirk::DigestWithoutQop { "" } else { ", qop=\"auth\"" };
    let algorithm = if quirk == Quirk::DigestSha256 { ", algorithm=SHA-256" } else { "" };
    let stale = if stale { ", stale=true" } else { "" };
    format!("Digest realm=\"street\", nonce=\"{nonce}\"{qop}{algorithm}{stale}")
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.split([' ', ',']).find_map(|part| part.strip_prefix(name)?.strip_prefix('='))?;
    Some(rest.trim_matches('"'))
}
