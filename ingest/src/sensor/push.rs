//! `POST /v1/readings`: the door for what can't speak MQTT. A bearer token opens it; the answer says of each reading what became of it.
//!
//! Everything is bounded: connections, the time for headers and body, the body, the number of readings. The answer comes when the
//! readings are on disk.

use std::{net::TcpListener, str::FromStr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use xueliang_events::SensorId;

use super::{
    checks::{Arrival, Raw, Verdict},
    desk::Taken,
    intake::Intake,
    payload::{Message, Places, Pointer, timestamp},
    refusal::Refusal,
    token::Tokens,
};
use crate::settings::SensorShape;

/// Most bytes of a request's body.
const MAX_BODY: usize = 256 << 10;
/// Most readings of one request.
const MAX_READINGS: usize = 1000;
/// Most connections at a time; the next waits to be accepted.
const MAX_CONNECTIONS: usize = 256;
/// Time for the headers, and for the body and the answer.
const DEADLINES: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(30));

/// The door.
#[derive(Clone)]
pub struct Door {
    intake: Arc<Intake>,
    tokens: Tokens,
    places: Places,
}

impl Door {
    /// A door to `intake` for who has one of `tokens`.
    pub fn new(intake: Arc<Intake>, tokens: Tokens, value: Pointer) -> Self {
        Self { intake, tokens, places: Places { value, time: None } }
    }

    /// Serves until `stop`.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "HTTP push can't listen"),
        };
        let router = Router::new().route("/v1/readings", post(receive)).with_state(self);
        let (connections, room) = (TaskTracker::new(), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "HTTP push can't accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                () = stop.cancelled() => break,
            };
            let (service, stop) = (TowerToHyperService::new(router.clone()), stop.clone());
            connections.spawn(async move {
                let mut server = http1::Builder::new();
                server.timer(TokioTimer::new()).header_read_timeout(DEADLINES.0);
                let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
                tokio::select! {
                    // Who breaks a connection off knows it.
                    _ = &mut connection => {}
                    () = stop.cancelled() => {
                        connection.as_mut().graceful_shutdown();
                        let _ = connection.await;
                    }
                }
                drop(permit);
            });
        }
        connections.close();
        if tokio::time::timeout(Duration::from_secs(3), connections.wait()).await.is_err() {
            tracing::warn!("HTTP push: connections were cut off at shutdown");
        }
    }

    async fn answer(&self, request: Request) -> Response {
        if !self.is_admitted(&request) {
            let cure = "send authorization: Bearer and a token of ingest.push.token_file";
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
            return (challenge, problem(StatusCode::UNAUTHORIZED, "the token is missing or wrong", cure))
                .into_response();
        }
        let Ok(body) = to_bytes(request.into_body(), MAX_BODY).await else {
            let cure = "send fewer readings at a time, at most 256 KiB";
            return problem(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or was cut off", cure)
                .into_response();
        };
        let readings = match serde_json::from_slice(&body) {
            Ok(Value::Array(readings)) if readings.len() <= MAX_READINGS => readings,
            Ok(reading @ Value::Object(_)) => vec![reading],
            Ok(Value::Array(_)) => {
                let cure = "send at most 1000 at a time";
                return problem(StatusCode::PAYLOAD_TOO_LARGE, "too many readings", cure).into_response();
            }
            _ => {
                let cure = r#"send {"sensor": "id", "value": 1.2} or an array of such"#;
                return problem(StatusCode::BAD_REQUEST, "the body is no reading", cure).into_response();
            }
        };
        self.take(readings).await
    }

    fn is_admitted(&self, request: &Request) -> bool {
        let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token =
            value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        token.is_some_and(|(_, token)| self.tokens.admit(token.trim()))
    }

    async fn take(&self, readings: Vec<Value>) -> Response {
        let arrival = Arrival { at: Timestamp::now(), retained: false };
        let taken: Vec<Taken> = readings.into_iter().map(|reading| self.take_one(reading, arrival)).collect();
        let rows: Vec<Value> = taken.iter().map(row).collect();
        let n_refused = taken.iter().filter(|taken| matches!(taken.verdict, Verdict::Refused(_))).count();
        if let Some(written) = self.intake.store(taken, None).await
            && !written.wait().await
        {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "shutting down", "send it again").into_response();
        }
        let all_refused = n_refused == rows.len() && n_refused > 0;
        let status = if all_refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        (status, Json(json!({ "n_refused": n_refused, "readings": rows }))).into_response()
    }

    fn take_one(&self, reading: Value, arrival: Arrival) -> Taken {
        let refused = |cause: &str| {
            let verdict = Verdict::Refused(Refusal::Unreadable { cause: cause.to_owned() });
            Taken { sensor: None, shape: None, verdict, draft: None }
        };
        let Value::Object(fields) = reading else { return refused("a reading is an object") };
        let id = fields.get("sensor").and_then(Value::as_str).and_then(|id| SensorId::from_str(id).ok());
        let Some(id) = id else { return refused("sensor is missing or no id") };
        self.intake.desk.take_pushed(&id, |shape| self.read(fields, shape), arrival)
    }

    fn read(&self, fields: Map<String, Value>, shape: &SensorShape) -> Result<Raw, Refusal> {
        let refused = |cause: String| Refusal::Unreadable { cause };
        if let Some(key) =
            fields.keys().find(|key| !matches!(key.as_str(), "sensor" | "value" | "unit" | "measured_at"))
        {
            let key: String = key.chars().take(40).collect();
            return Err(refused(format!("{key:?} is no field; known: sensor, value, unit, measured_at")));
        }
        let measure = match fields.get("unit").map(Value::as_str) {
            None => shape.measure,
            Some(unit) => {
                let measure = unit.and_then(|unit| shape.kind.measure(unit));
                let fits = measure.filter(|measure| measure.quantity == shape.measure.quantity);
                fits.ok_or_else(|| refused(format!("unit is none that fits the sensor's {}", shape.measure.written)))?
            }
        };
        let claimed = match fields.get("measured_at") {
            None | Some(Value::Null) => None,
            Some(time) => Some(timestamp(time).ok_or_else(|| refused("measured_at is no time".to_owned()))?),
        };
        let raw = Message::of(Value::Object(fields)).read(&self.places, &measure, shape.inverted)?;
        Ok(Raw { claimed, ..raw })
    }
}

async fn receive(State(door): State<Door>, request: Request) -> Response {
    let answer = tokio::time::timeout(DEADLINES.1, door.answer(request)).await.unwrap_or_else(|_| {
        let cure = "send it again; with measured_at nothing counts twice";
        problem(StatusCode::SERVICE_UNAVAILABLE, "the body or the disk was too slow", cure).into_response()
    });
    door.intake.metrics.pushed(answer.status().as_u16());
    answer
}

fn row(taken: &Taken) -> Value {
    let mut row = json!({ "sensor": taken.sensor.as_ref().map(SensorId::as_str) });
    let (outcome, refusal) = match &taken.verdict {
        Verdict::Accepted(accepted) if accepted.clock_error.is_some() => ("accepted_clock_wrong", None),
        Verdict::Accepted(_) => ("accepted", None),
        Verdict::Repeated => ("repeated", None),
        Verdict::Refused(refusal) => ("refused", Some(refusal)),
    };
    row["outcome"] = outcome.into();
    if let Some(refusal) = refusal {
        row["reason"] = refusal.reason().into();
        row["detail"] = refusal.to_string().into();
    }
    row
}

fn problem(status: StatusCode, problem: &str, cure: &str) -> impl IntoResponse {
    (status, Json(json!({ "problem": problem, "cure": cure })))
}
