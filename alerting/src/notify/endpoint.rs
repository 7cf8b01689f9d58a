//! Where messages may go: a list of hosts and ports that the deployer allows (RULES P26).

use std::{fmt, net::IpAddr, str::FromStr};

use url::Url;
use xueliang_settings::Reader;

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

    /// Where requests to a URL go; `None` when it names no host or port.
    pub fn of(url: &Url) -> Option<Self> {
        Some(Self::new(url.host_str()?, url.port_or_known_default()?))
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
    /// Reads the list from the `[alerting]` table.
    pub fn read(alerting: &mut Reader<'_>) -> Self {
        Self(alerting.texts("allowed_endpoints"))
    }

    /// Refuses the endpoint that `key` names when it is not on the list.
    pub fn check(&self, reader: &Reader<'_>, key: &str, endpoint: &Endpoint) {
        if !self.0.contains(endpoint) {
            let cure = format!("add \"{endpoint}\" to allowed_endpoints under [alerting], or correct the address");
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
        let url = |text: &str| Endpoint::of(&Url::parse(text).unwrap()).unwrap();
        assert_eq!(url("https://HOOKS.example/x"), "hooks.example:443".parse().unwrap());
        assert_eq!(url("http://[::1]:9/"), "[::1]:9".parse().unwrap());
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
