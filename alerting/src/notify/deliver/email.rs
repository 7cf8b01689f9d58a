//! E-mail by SMTP: one plain text to all receivers of the channel, with a Message-ID that follows from the message.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor,
    message::header::ContentType,
    transport::smtp::{
        Error as SmtpError,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        extension::ClientId,
    },
};

use super::Delivery;
use crate::{
    error_chain,
    notify::{
        Message,
        settings::Voice,
        text::Text,
        way::{Email, SmtpTls},
    },
};

/// The client; it connects anew for each message.
pub(super) type Transport = AsyncSmtpTransport<Tokio1Executor>;

const MAX_BODY: usize = 64 << 10;

/// Prepares it.
pub(super) fn transport(email: &Email, patience: Duration) -> Result<Transport, SmtpError> {
    let parameters = || {
        let mut parameters = TlsParameters::builder(email.host.clone());
        if let Some(pem) = &email.ca {
            parameters = parameters.add_root_certificate(Certificate::from_pem(pem)?);
        }
        parameters.build()
    };
    let tls = match email.tls {
        SmtpTls::Implicit => Tls::Wrapper(parameters()?),
        SmtpTls::StartTls => Tls::Required(parameters()?),
        SmtpTls::Plain => Tls::None,
    };
    let builder = Transport::builder_dangerous(email.host.clone())
        .port(email.port)
        .tls(tls)
        .timeout(Some(patience))
        .hello_name(ClientId::Domain(email.from.email.domain().to_owned()));
    let builder = match &email.credentials {
        Some((account, password)) => {
            builder.credentials(Credentials::new(account.clone(), password.reveal().to_owned()))
        }
        None => builder,
    };
    Ok(builder.build())
}

/// Sends it; what the server answers with 5xx is not tried again.
pub(super) async fn send(
    transport: &Transport,
    email: &Email,
    (message, voice): (&Message, &Voice),
    now: Timestamp,
) -> Delivery {
    let mail = match mail(email, (message, voice), now) {
        Ok(mail) => mail,
        Err(error) => return Delivery::dead(error_chain(&error)),
    };
    match transport.send(mail).await {
        Ok(_) => Delivery::Delivered,
        Err(error) => {
            let status = error.status().map(|status| format!("answered {status}"));
            let reason = status.unwrap_or_else(|| error_chain(&error));
            if error.is_permanent() { Delivery::Dead { reason } } else { Delivery::retry(reason) }
        }
    }
}

fn mail(email: &Email, (message, voice): (&Message, &Voice), now: Timestamp) -> Result<Mail, lettre::error::Error> {
    let text = Text::of(message, voice);
    let mut builder = Mail::builder().from(email.from.clone());
    for receiver in &email.to {
        builder = builder.to(receiver.clone());
    }
    builder
        .subject(text.title.as_str())
        .date(SystemTime::from(now))
        .message_id(Some(format!("<{}@{}>", message.id, email.from.email.domain())))
        .header(ContentType::TEXT_PLAIN)
        .body(text.plain(MAX_BODY))
}
