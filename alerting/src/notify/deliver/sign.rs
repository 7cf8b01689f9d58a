//! Signatures: Standard Webhooks (<https://www.standardwebhooks.com>) and DingTalk's 加签.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A webhook's signing key.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

impl SigningKey {
    /// Reads `whsec_` and base64 of 24 to 64 bytes, as the standard demands.
    pub fn parse(secret: &str) -> Option<Self> {
        let key = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
        (24..=64).contains(&key.len()).then_some(Self(key))
    }

    /// The header `webhook-signature`.
    pub fn sign(&self, id: &str, unix_seconds: i64, body: &str) -> String {
        format!("v1,{}", hmac_base64(&self.0, &format!("{id}.{unix_seconds}.{body}")))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// DingTalk's parameter `sign` for a time in milliseconds, not yet URL-encoded.
pub(super) fn dingtalk(secret: &str, unix_ms: i64) -> String {
    hmac_base64(secret.as_bytes(), &format!("{unix_ms}\n{secret}"))
}

fn hmac_base64(key: &[u8], text: &str) -> String {
    // HMAC takes a key of any length, so there is no failure to report.
    let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(key) else { return String::new() };
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the standard's libraries test themselves with.
    #[test]
    fn a_webhook_is_signed_as_the_standard_says() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn only_keys_of_the_standards_form_are_taken() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for (secret, expected) in [(of(24), true), (of(64), true), (of(23), false), (of(65), false)] {
            assert_eq!(SigningKey::parse(&secret).is_some(), expected, "{secret}");
        }
        assert!(SigningKey::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none());
        assert!(SigningKey::parse("whsec_no base64").is_none());
    }

    /// Computed with OpenSSL: `printf '1577262236757\nSECdemo' | openssl dgst -sha256 -hmac SECdemo -binary | base64`.
    #[test]
    fn a_dingtalk_robot_is_signed_as_its_documentation_says() {
        assert_eq!(dingtalk("SECdemo", 1_577_262_236_757), "sLRlUUvzoOXn5DR/+o+s6tOqX+bWe3JGaZ7JQ7844l8=");
    }
}
