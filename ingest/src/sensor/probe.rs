//! `xueliang sensor probe`: what each message of the brokers would become, for who sets sensors up. Stores nothing, acknowledges
//! nothing: its session is its own and ends with it.

use std::time::Duration;

use jiff::Timestamp;
use rumqttc::{AsyncClient, Event, Packet, QoS, SubscribeFilter};
use tokio::sync::mpsc;

use super::{
    checks::{Arrival, Verdict},
    desk::{Desk, Taken},
    health::Moment,
    link::cause_of,
    mqtt::options,
};
use crate::{
    outbox::Remembered,
    settings::{BrokerSettings, IntakeSettings},
};

/// Lines that may wait to be shown.
const MAX_LINES: usize = 256;

/// Listens for `duration` and hands each line to `show`.
pub async fn probe(settings: &IntakeSettings, duration: Duration, mut show: impl FnMut(String)) {
    let desk = Desk::new(settings, Remembered::default(), Moment::now());
    let (lines, mut shown) = mpsc::channel(MAX_LINES);
    let listen = async {
        let brokers = settings.brokers.iter().enumerate();
        let listening = brokers.map(|(index, broker)| listen(&desk, (index, broker), lines.clone()));
        futures::future::join_all(listening).await;
    };
    let printing = async {
        while let Some(line) = shown.recv().await {
            show(line);
        }
    };
    tokio::select! {
        () = listen => {}
        () = printing => {}
        () = tokio::time::sleep(duration) => {}
    }
}

async fn listen(desk: &Desk, (index, broker): (usize, &BrokerSettings), lines: mpsc::Sender<String>) {
    let mut own = broker.clone();
    own.client_id = format!("{}-probe-{:08x}", broker.client_id, rand::random::<u32>());
    let mut options = options(&own);
    options.set_clean_session(true);
    options.set_manual_acks(false);
    let (client, mut connection) = AsyncClient::new(options, 16);
    loop {
        let said = match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                let filters = desk.filters(index);
                let topics = filters.join(", ");
                let filters = filters.into_iter().map(|filter| SubscribeFilter::new(filter, QoS::AtLeastOnce));
                match client.try_subscribe_many(filters) {
                    Ok(()) => vec![format!("{}: connected; listening to {topics}", broker.name)],
                    Err(_) => vec![format!("{}: the subscription found no room", broker.name)],
                }
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let arrival = Arrival { at: Timestamp::now(), retained: publish.retain };
                let taken = desk.take_message((index, &publish.topic), &publish.payload, arrival);
                taken.iter().map(|taken| line(&publish.topic, publish.retain, taken)).collect()
            }
            Ok(_) => continue,
            Err(error) => {
                let line = format!("{}: {}", broker.name, cause_of(&error));
                tokio::time::sleep(Duration::from_secs(2)).await;
                vec![line]
            }
        };
        for line in said {
            if lines.send(line).await.is_err() {
                return;
            }
        }
    }
}

fn line(topic: &str, retained: bool, taken: &Taken) -> String {
    let topic: String = topic.chars().filter(|c| !c.is_control()).collect();
    let kept = if retained { " (retained)" } else { "" };
    let sensor = taken.sensor.as_ref().map_or("no sensor", |sensor| sensor.as_str());
    let became = match (&taken.verdict, &taken.shape) {
        (Verdict::Accepted(accepted), Some(shape)) => {
            let (measure, quality) = (shape.measure, format!("{:?}", accepted.quality).to_lowercase());
            let clock = accepted.clock_error.map(|error| format!(", its clock is off by {} s", error.as_secs()));
            format!(
                "{} {} {} at {} ({quality}{})",
                measure.quantity,
                accepted.value,
                measure.unit,
                accepted.time,
                clock.unwrap_or_default()
            )
        }
        (Verdict::Refused(refusal), _) => format!("refused, {}: {refusal}", refusal.reason()),
        (Verdict::Repeated, _) | (Verdict::Accepted(_), None) => "repeated: no new reading".to_owned(),
    };
    format!("{topic}{kept}  {sensor}  {became}")
}
