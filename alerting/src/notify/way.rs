//! By which way a channel's messages go: the part of `[[notify]]` that depends on `channel`.
//!
//! Addresses carry no secrets: those are referred to. What goes over the network readable by others must be asked for with
//! `allow_plain`, and never with a secret in it.

use std::path::{Path, PathBuf};

use lettre::message::Mailbox;
use url::Url;
use xueliang_settings::{AllowedEndpoints, Endpoint, Reader};

use super::deliver::sign::SigningKey;
use crate::secret::{Secret, read_secret, required_secret};

const MAX_RECEIVERS: usize = 50;

/// How messages get to a receiver.
#[derive(Debug, Clone)]
pub enum Way {
    /// A signed HTTP request (Standard Webhooks).
    Webhook(Webhook),
    /// E-mail by SMTP.
    Email(Email),
    /// A robot of a group chat.
    Robot(Robot),
}

/// A signed HTTP request.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Where to.
    pub url: Url,
    /// What it is signed with.
    pub key: SigningKey,
    /// Certificates (PEM) that vouch for the receiver besides the system's.
    pub ca: Option<Vec<u8>>,
}

/// When SMTP is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// From the first byte (port 465).
    Implicit,
    /// After `STARTTLS`, without which nothing is sent (port 587).
    StartTls,
    /// Never.
    Plain,
}

/// E-mail by SMTP.
#[derive(Debug, Clone)]
pub struct Email {
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// When it is encrypted.
    pub tls: SmtpTls,
    /// Who writes.
    pub from: Mailbox,
    /// Who reads; they see each other.
    pub to: Vec<Mailbox>,
    /// The account and its password.
    pub credentials: Option<(String, Secret)>,
    /// Certificates (PEM) that vouch for the server besides the system's.
    pub ca: Option<Vec<u8>>,
}

/// Whose robot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Maker {
    /// 钉钉 DingTalk; `sign` is the secret of its security setting 加签.
    DingTalk {
        /// What requests are signed with, if they are.
        sign: Option<Secret>,
    },
    /// 企业微信 WeCom.
    WeCom,
}

/// A robot of a group chat.
#[derive(Debug, Clone)]
pub struct Robot {
    /// Whose.
    pub maker: Maker,
    /// Its address without its token.
    pub url: Url,
    /// What lets one speak through it: DingTalk's `access_token`, WeCom's `key`.
    pub token: Secret,
    /// True for Markdown, false for plain text.
    pub markdown: bool,
}

/// Reads the way; `None` when a mistake, which was reported, leaves none.
pub fn read(reader: &mut Reader<'_>, allowed: &AllowedEndpoints) -> Option<Way> {
    const WAYS: [(&str, &str); 4] =
        [("webhook", "webhook"), ("email", "email"), ("dingtalk", "dingtalk"), ("wecom", "wecom")];
    if !reader.has("channel") {
        reader.refuse("channel", "is missing", "add channel = one of webhook, email, dingtalk, wecom");
    }
    match reader.choice("channel", &WAYS) {
        Some("webhook") => read_webhook(reader, allowed).map(Way::Webhook),
        Some("email") => read_email(reader, allowed).map(Way::Email),
        Some("dingtalk") => read_dingtalk(reader, allowed).map(Way::Robot),
        Some(_) => read_wecom(reader, allowed).map(Way::Robot),
        None => {
            accept_keys_of_every_way(reader);
            None
        }
    }
}

/// Which of these are wrong is known only with the channel, so none of them is reported before.
fn accept_keys_of_every_way(reader: &mut Reader<'_>) {
    for key in ["url", "secret_file", "secret_env", "token_file", "token_env", "ca_file", "allow_plain", "format"] {
        reader.ignore(key);
    }
    for key in ["host", "port", "tls", "from", "to", "credentials"] {
        reader.ignore(key);
    }
}

fn read_webhook(reader: &mut Reader<'_>, allowed: &AllowedEndpoints) -> Option<Webhook> {
    let allow_plain = reader.or("allow_plain", false);
    let written: Option<String> = reader.required("url");
    let url = written.and_then(|text| read_url(reader, &text, (allow_plain, allowed)));
    let key = required_secret(reader, ["secret_file", "secret_env"]).and_then(|secret| {
        let key = SigningKey::parse(secret.reveal());
        if key.is_none() {
            let cure = "write whsec_ and what `openssl rand -base64 32` prints, and give the receiver the same";
            let key = if reader.has("secret_file") { "secret_file" } else { "secret_env" };
            reader.refuse(key, "holds no signing secret", cure);
        }
        key
    });
    let ca = read_ca(reader);
    Some(Webhook { url: url?, key: key?, ca: ca? })
}

fn read_dingtalk(reader: &mut Reader<'_>, allowed: &AllowedEndpoints) -> Option<Robot> {
    let sign = read_secret(reader, ["secret_file", "secret_env"]);
    let robot = read_robot(reader, "https://oapi.dingtalk.com/robot/send", allowed);
    let (url, token, markdown) = robot?;
    Some(Robot { maker: Maker::DingTalk { sign: sign? }, url, token, markdown })
}

fn read_wecom(reader: &mut Reader<'_>, allowed: &AllowedEndpoints) -> Option<Robot> {
    let robot = read_robot(reader, "https://qyapi.weixin.qq.com/cgi-bin/webhook/send", allowed);
    let (url, token, markdown) = robot?;
    Some(Robot { maker: Maker::WeCom, url, token, markdown })
}

fn read_robot(reader: &mut Reader<'_>, default_url: &str, allowed: &AllowedEndpoints) -> Option<(Url, Secret, bool)> {
    let written = reader.or("url", default_url.to_owned());
    let url = read_url(reader, &written, (false, allowed));
    let token = required_secret(reader, ["token_file", "token_env"]);
    let markdown = reader.choice("format", &[("markdown", true), ("text", false)]).unwrap_or(true);
    Some((url?, token?, markdown))
}

fn read_url(reader: &Reader<'_>, text: &str, (allow_plain, allowed): (bool, &AllowedEndpoints)) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    let Some((url, endpoint)) = url.and_then(|url| endpoint_of(&url).map(|endpoint| (url, endpoint))) else {
        reader.refuse("url", "is no web address", "write https://host[:port]/path");
        return None;
    };
    let has_account = !url.username().is_empty() || url.password().is_some();
    if has_account || url.query().is_some() || url.fragment().is_some() {
        let cure = "leave out account, ? and #: secrets are referred to, as token_file or secret_file";
        reader.refuse("url", "may carry a secret", cure);
        return None;
    }
    if url.scheme() == "http" && !allow_plain && !endpoint.is_loopback() {
        let cure = "write https://; allow_plain = true is for a webhook inside a network that you trust";
        reader.refuse("url", "can be read by anyone on the way", cure);
    }
    allowed.check(reader, "url", &endpoint);
    Some(url)
}

fn read_email(reader: &mut Reader<'_>, allowed: &AllowedEndpoints) -> Option<Email> {
    let host: Option<String> = reader.required("host");
    let modes = [("implicit", SmtpTls::Implicit), ("starttls", SmtpTls::StartTls), ("none", SmtpTls::Plain)];
    let tls = reader.choice("tls", &modes).unwrap_or(SmtpTls::Implicit);
    let default_port: u16 = match tls {
        SmtpTls::Implicit => 465,
        SmtpTls::StartTls => 587,
        SmtpTls::Plain => 25,
    };
    let port = reader.or("port", default_port);
    let endpoint = host.as_ref().and_then(|host| read_endpoint(reader, host, port));
    let from = reader.required_text("from");
    let to = read_receivers(reader);
    let allow_plain = reader.or("allow_plain", false);
    let credentials = read_credentials(reader);
    let ca = read_ca(reader);
    let (endpoint, credentials) = (endpoint?, credentials?);
    allowed.check(reader, "host", &endpoint);
    if tls == SmtpTls::Plain && !endpoint.is_loopback() {
        if credentials.is_some() {
            let cure = "write tls = \"implicit\" or \"starttls\", or leave the credentials out";
            reader.refuse("tls", "lets anyone on the way read the password", cure);
        } else if !allow_plain {
            let cure = "write tls = \"implicit\" or \"starttls\"; allow_plain = true is for a network that you trust";
            reader.refuse("tls", "lets anyone on the way read the messages", cure);
        }
    }
    Some(Email { host: host?, port, tls, from: from?, to: to?, credentials, ca: ca? })
}

/// Where requests to a URL go; `None` when it names no host or port.
pub(crate) fn endpoint_of(url: &Url) -> Option<Endpoint> {
    Some(Endpoint::new(url.host_str()?, url.port_or_known_default()?))
}

fn read_endpoint(reader: &Reader<'_>, host: &str, port: u16) -> Option<Endpoint> {
    let endpoint = format!("{host}:{port}").parse::<Endpoint>();
    if endpoint.is_err() {
        reader.refuse("host", format!("{host:?} is no host"), "write the mail server's name or address without port");
    }
    endpoint.ok()
}

fn read_receivers(reader: &mut Reader<'_>) -> Option<Vec<Mailbox>> {
    let is_written = reader.has("to");
    let to: Vec<Mailbox> = reader.texts("to");
    if !is_written || to.len() > MAX_RECEIVERS {
        reader.refuse("to", "names nobody or too many", "write to = [\"duty@city.example\"], 1 to 50 addresses");
    }
    (!to.is_empty()).then_some(to)
}

/// The outer `None` means that a mistake was reported.
fn read_credentials(reader: &mut Reader<'_>) -> Option<Option<(String, Secret)>> {
    let is_written = reader.has("credentials");
    let mut section = reader.section("credentials");
    if !is_written {
        return Some(None);
    }
    let username = section.required::<String>("username");
    let password = required_secret(&mut section, ["password_file", "password_env"]);
    section.finish();
    Some(Some((username?, password?)))
}

/// The outer `None` means that a mistake was reported.
fn read_ca(reader: &mut Reader<'_>) -> Option<Option<Vec<u8>>> {
    if !reader.has("ca_file") {
        reader.ignore("ca_file");
        return Some(None);
    }
    let file = reader.optional::<PathBuf>("ca_file")?;
    let base = reader.file().parent().map(Path::to_owned).unwrap_or_default();
    let problem = match std::fs::read(base.join(&file)) {
        Ok(pem) => match reqwest::Certificate::from_pem_bundle(&pem) {
            Ok(certificates) if !certificates.is_empty() => return Some(Some(pem)),
            _ => format!("{} holds no certificate", file.display()),
        },
        Err(error) => format!("{}: {error}", file.display()),
    };
    reader.refuse("ca_file", problem, "name a PEM file with the CA of the receiver's certificate");
    None
}
