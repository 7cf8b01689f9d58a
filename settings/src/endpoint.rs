//! Where data may go: brokers, databases and receivers of messages, on a list that the deployer keeps (RULES P26).

use std::{fmt, net::IpAddr, str::FromStr};

use crate::Reader;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// A host and a port; upper and lower case are the same.
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_ascii_lowercase(), port }
    }

    /// True when it is this machine, so that nobody on a network can listen.
    pub fn is_loopback(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |host: &str| {
            let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            match address {
                Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
                None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-'),
            }
        };
        let split = text.rsplit_once(':').filter(|(host, _)| plain(host));
        let endpoint = split.and_then(|(host, port)| Some(Self::new(host, port.parse().ok().filter(|p| *p > 0)?)));
        endpoint.ok_or_else(|| format!("{text:?} is no host:port, such as \"hooks.example:443\""))
    }
}

/// The list `allowed_endpoints`; empty allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedEndpoints(Vec<Endpoint>);

impl AllowedEndpoints {
    /// Reads the list from `[alerting]` or `[ingest]`.
    pub fn read(table: &mut Reader<'_>) -> Self {
        Self(table.texts("allowed_endpoints"))
    }

    /// Refuses those of `host:port,host:port` that `key` names, unless they are this machine or on the list.
    pub fn check_all(&self, reader: &Reader<'_>, key: &str, endpoints: &str) {
        for text in endpoints.split(',').map(str::trim) {
            match text.parse::<Endpoint>() {
                Ok(endpoint) if endpoint.is_loopback() => {}
                Ok(endpoint) => self.check(reader, key, &endpoint),
                Err(problem) => reader.refuse(key, problem, "write host:port, several with commas"),
            }
        }
    }

    /// True when this endpoint is on the list.
    pub fn allows(&self, endpoint: &Endpoint) -> bool {
        self.0.contains(endpoint)
    }

    /// Refuses the endpoint that `key` names when it is not on the list.
    pub fn check(&self, reader: &Reader<'_>, key: &str, endpoint: &Endpoint) {
        if !self.allows(endpoint) {
            let cure =
                format!("add \"{endpoint}\" to allowed_endpoints under [alerting] or [ingest], or correct the address");
            reader.refuse(key, format!("{endpoint} is no allowed endpoint"), cure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_a_host_and_a_port() {
        let check = |text: &str, expected: Option<&str>| {
            let read = text.parse::<Endpoint>().ok().map(|endpoint| endpoint.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        };
        check("Hooks.Example:443", Some("hooks.example:443"));
        check("[::1]:25", Some("[::1]:25"));
        check("10.0.0.1:8080", Some("10.0.0.1:8080"));
        for wrong in
            ["hooks.example", "hooks.example:0", ":443", "https://hooks.example:443", "a@b:1", "*.b:1", "::1:25"]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn p26_brokers_beyond_this_machine_stand_on_the_list() {
        let check = |text: &str, expected: Option<&str>| {
            let read = crate::Document::from_text("a.toml", text.to_owned()).read(|reader| {
                let allowed = AllowedEndpoints::read(reader);
                let brokers: String = reader.required("brokers")?;
                allowed.check_all(reader, "brokers", &brokers);
                Some(())
            });
            match (read.map_err(|mistakes| mistakes.to_string()), expected) {
                (Ok(()), None) => {}
                (Err(mistakes), Some(expected)) => assert!(mistakes.contains(expected), "{mistakes}"),
                other => panic!("{text}: {other:?}"),
            }
        };
        check("brokers = \"127.0.0.1:9092,localhost:9093,[::1]:1\"", None);
        check("brokers = \"kafka-1:9092\"", Some("kafka-1:9092 is no allowed endpoint"));
        check(
            "brokers = \"kafka-1:9092, KAFKA-2:9092\"\nallowed_endpoints = [\"kafka-1:9092\", \"kafka-2:9092\"]",
            None,
        );
        check("brokers = \"kafka-1:9093\"\nallowed_endpoints = [\"kafka-1:9092\"]", Some("kafka-1:9093"));
        check("brokers = \"kafka-1\"", Some("is no host:port"));
    }

    #[test]
    fn loopback_is_this_machine_only() {
        let check = |text: &str, expected: bool| {
            assert_eq!(text.parse::<Endpoint>().unwrap().is_loopback(), expected, "{text}")
        };
        check("localhost:1", true);
        check("127.0.0.1:1", true);
        check("[::1]:1", true);
        check("localhost.example:1", false);
        check("10.0.0.1:1", false);
    }
}
