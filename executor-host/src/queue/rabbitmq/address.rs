//! Where the broker is, who we are there, and by whose word it is the broker. The password leaves
//! this value only on its way to the broker.

use std::fmt;
use std::str::FromStr;

use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPScheme, AMQPUri};
use reqwest::Url;

/// Seconds without a sign of life after which a connection counts as lost, unless the URL says
/// otherwise (`?heartbeat=`).
const HEARTBEAT_SECONDS: u16 = 20;

/// A parsed `amqp://` or `amqps://` URL. Shown, it is without user and password.
#[derive(Clone)]
pub struct Address {
    uri: AMQPUri,
    /// Certificates in PEM.
    authority: Option<Box<str>>,
}

/// The URL cannot be used. It does not say what is in it: that is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(&'static str);

impl Address {
    /// The same, with an authority of the deployment's own: `pem` is its certificate, or several.
    /// What the system trusts is trusted as well.
    ///
    /// # Errors
    ///
    /// When there is no certificate in it, or nothing that one could vouch for.
    pub fn trusting(self, pem: String) -> Result<Self, AddressError> {
        if !matches!(self.uri.scheme, AMQPScheme::AMQPS) {
            return Err(AddressError(
                "certificates are of no use without amqps://, and the password would be sent in \
                 the clear",
            ));
        }
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(AddressError("there is no certificate in PEM"));
        }
        Ok(Self {
            authority: Some(pem.into()),
            ..self
        })
    }

    pub(super) fn uri(&self) -> AMQPUri {
        self.uri.clone()
    }

    pub(super) fn tls(&self) -> OwnedTLSConfig {
        OwnedTLSConfig {
            identity: None,
            cert_chain: self.authority.as_deref().map(str::to_owned),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|_| {
            AddressError("it is not a URL, such as amqp://user:password@host:5672/vhost")
        })?;
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            return Err(AddressError("it has no host in it"));
        };
        if !matches!(url.scheme(), "amqp" | "amqps") {
            return Err(AddressError("it begins with neither amqp:// nor amqps://"));
        }
        let mut uri: AMQPUri = text
            .parse()
            .map_err(|_| AddressError("its user, password, vhost or query cannot be read"))?;
        // The parser knows names and IPv4 only, and takes anything else for localhost.
        uri.authority.host = host.trim_matches(['[', ']']).to_owned();
        if uri.vhost.is_empty() {
            // `amqp://host/` means the vhost without a name, which nobody has.
            uri.vhost = "/".to_owned();
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        Ok(Self {
            uri,
            authority: None,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.uri.scheme {
            AMQPScheme::AMQP => "amqp",
            AMQPScheme::AMQPS => "amqps",
        };
        let (host, port) = (&self.uri.authority.host, self.uri.authority.port);
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")?;
        } else {
            write!(f, "{scheme}://{host}:{port}")?;
        }
        match &*self.uri.vhost {
            "/" => Ok(()),
            vhost => write!(f, " (vhost {vhost})"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn what_a_url_leaves_out_is_the_brokers_default() {
        let address = parsed("amqp://broker.example");
        assert_eq!(address.to_string(), "amqp://broker.example:5672");
        assert_eq!(parsed("amqp://h/").uri.vhost, "/");
        assert_eq!(parsed("amqp://h/%2f").uri.vhost, "/");
        assert_eq!(
            parsed("amqps://h/lab").to_string(),
            "amqps://h:5671 (vhost lab)"
        );
        assert_eq!(parsed("amqp://h?heartbeat=7").uri.query.heartbeat, Some(7));
    }

    #[test]
    fn an_ipv6_address_is_not_taken_for_localhost() {
        let address = parsed("amqp://[2001:db8::1]:5673");
        assert_eq!(address.uri.authority.host, "2001:db8::1");
        assert_eq!(address.to_string(), "amqp://[2001:db8::1]:5673");
    }

    #[test]
    fn an_authority_is_for_amqps_only_and_has_to_be_one() {
        let pem = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
        let plain = parsed("amqp://h").trusting(pem.into());
        assert!(plain.unwrap_err().to_string().contains("amqps://"));
        let key = parsed("amqps://h").trusting("-----BEGIN PRIVATE KEY-----".into());
        assert!(key.unwrap_err().to_string().contains("no certificate"));
        let trusting = parsed("amqps://h").trusting(pem.into()).unwrap();
        assert_eq!(trusting.tls().cert_chain.as_deref(), Some(pem));
    }

    #[test]
    fn nobody_sees_the_password() {
        let address = parsed("amqp://lab:hunter2@h/v");
        assert_eq!(address.uri.authority.userinfo.password, "hunter2");
        assert!(!format!("{address} {address:?}").contains("hunter2"));
        for wrong in [
            "hunter2",
            "http://lab:hunter2@h",
            "amqp://lab:hunter2@",
            "amqp://lab:hunter2@h:port",
            "amqp://lab:hunter2%ff@h",
            "amqp://lab:hunter2@h?heartbeat=hunter2",
        ] {
            let error = wrong.parse::<Address>().expect_err(wrong);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
