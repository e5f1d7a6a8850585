//! A deployment's settings: read once, checked once. The names are the same on every platform.

use std::sync::Arc;

use codecrafter_shared::keys::SECRET_BYTES_MIN;
use codecrafter_shared::limits;

use crate::limits::address::Network;
use crate::limits::policy::{Limits, WrongLimit};
use crate::token::Keys;

/// Settings, and the keys that follow from the secret. Cheap to clone.
#[derive(Clone)]
pub struct Config {
    /// `CODECRAFTER_TENANT`: whose Directory this deployment uses; `main` if unset.
    pub tenant: Arc<str>,
    /// `CODECRAFTER_ORIGINS`: origins, separated by commas, whose pages may call the API.
    /// The deployment's own page needs no entry.
    pub origins: Arc<[String]>,
    /// `CODECRAFTER_WAITING_MAX`: executions that may wait for an executor;
    /// [`limits::EXECUTIONS_WAITING_MAX`] if unset. More executors take more.
    pub waiting_max: u32,
    /// `CODECRAFTER_FRAMES_PER_SECOND`: frames that one socket of a room may send in a second;
    /// [`limits::ROOM_FRAMES_PER_SECOND`] if unset.
    pub frames_per_second: u32,
    /// `CODECRAFTER_OTLP`: where a collector of spans listens for OTLP over HTTP; spans go nowhere
    /// if unset. Without a slash at the end.
    pub collector: Option<Arc<str>>,
    /// `CODECRAFTER_LIMITS`: what differs from the table of limits.
    pub limits: Arc<Limits>,
    /// `CODECRAFTER_TRUSTED_PROXIES`: addresses and blocks of them, separated by commas, whose
    /// `X-Forwarded-For` is believed.
    pub trusted_proxies: Arc<[Network]>,
    /// `CODECRAFTER_RESULTS_DAYS`: for how long results of executions are kept;
    /// [`limits::RESULTS_DAYS`] if unset, none for ever, which is written as 0.
    pub results_kept_ms: Option<i64>,
    /// `CODECRAFTER_CONTRACT=1`: the route `/internal/contract` exists. For tests only.
    pub contract: bool,
    /// Every key, from `CODECRAFTER_SECRET` and, while it is replaced, from
    /// `CODECRAFTER_SECRET_PREVIOUS` (E8).
    pub keys: Arc<Keys>,
}

/// A setting that is missing or wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The secret is needed for every token.
    #[error(
        "set CODECRAFTER_SECRET to at least {SECRET_BYTES_MIN} random bytes of text, such as `openssl rand -base64 32` prints"
    )]
    SecretMissing,
    /// A secret that can be guessed.
    #[error("{0} is shorter than {SECRET_BYTES_MIN} bytes")]
    SecretTooShort(&'static str),
    /// Not a tenant's name.
    #[error("CODECRAFTER_TENANT is 1–40 of a–z, 0–9 and `-`")]
    Tenant,
    /// Not an origin.
    #[error("CODECRAFTER_ORIGINS: {0:?} is not an origin such as https://example.org")]
    Origin(String),
    /// Not a number of executions.
    #[error("CODECRAFTER_WAITING_MAX: {0:?} is not a number from 1 to {WAITING_MAX_MAX}")]
    WaitingMax(String),
    /// Not a number of frames.
    #[error(
        "CODECRAFTER_FRAMES_PER_SECOND: {0:?} is not a number from 1 to {FRAMES_PER_SECOND_MAX}"
    )]
    FramesPerSecond(String),
    /// Not where anybody listens.
    #[error("CODECRAFTER_OTLP: {0:?} is not an address such as http://127.0.0.1:4318")]
    Collector(String),
    /// Not a limit.
    #[error("CODECRAFTER_LIMITS: {0}")]
    Limits(WrongLimit),
    /// Not a number of days.
    #[error(
        "CODECRAFTER_RESULTS_DAYS: {0:?} is not a number of days from 1 to {max}, or 0 for ever",
        max = limits::RESULTS_DAYS_MAX
    )]
    ResultsDays(String),
    /// Not an address.
    #[error(
        "CODECRAFTER_TRUSTED_PROXIES: {0:?} is neither an address nor a block such as 10.0.0.0/8"
    )]
    TrustedProxies(String),
}

/// Each new execution counts those that wait.
const WAITING_MAX_MAX: u32 = 100_000;
/// The setting that a room reads for itself.
pub const FRAMES_PER_SECOND: &str = "CODECRAFTER_FRAMES_PER_SECOND";
/// More than any machine takes.
const FRAMES_PER_SECOND_MAX: u32 = 1_000_000;

impl Config {
    /// Reads every setting through `get`, which gives `None` for what is unset.
    ///
    /// # Errors
    /// The first setting that is missing or wrong.
    pub fn from_settings(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name| get(name).filter(|value| !value.is_empty());
        let secret = get("CODECRAFTER_SECRET").ok_or(ConfigError::SecretMissing)?;
        let previous = get("CODECRAFTER_SECRET_PREVIOUS");
        long_enough("CODECRAFTER_SECRET", &secret)?;
        if let Some(previous) = &previous {
            long_enough("CODECRAFTER_SECRET_PREVIOUS", previous)?;
        }
        let tenant = get("CODECRAFTER_TENANT").unwrap_or_else(|| "main".into());
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if tenant.len() > 40 || !tenant.chars().all(is_name) {
            return Err(ConfigError::Tenant);
        }
        let previous = previous.as_deref().map(str::as_bytes);
        let limits = Limits::parse(&get("CODECRAFTER_LIMITS").unwrap_or_default());
        let limits = limits.map_err(ConfigError::Limits)?;
        let keys = Keys::new(secret.as_bytes(), previous);
        Ok(Self {
            tenant: tenant.into(),
            origins: origins(&get("CODECRAFTER_ORIGINS").unwrap_or_default())?,
            waiting_max: waiting_max(get("CODECRAFTER_WAITING_MAX"))?,
            frames_per_second: frames_per_second(get(FRAMES_PER_SECOND))?,
            collector: collector(get("CODECRAFTER_OTLP"))?,
            limits: Arc::new(limits),
            trusted_proxies: trusted_proxies(
                &get("CODECRAFTER_TRUSTED_PROXIES").unwrap_or_default(),
            )?,
            results_kept_ms: results_kept_ms(get("CODECRAFTER_RESULTS_DAYS"))?,
            contract: get("CODECRAFTER_CONTRACT").as_deref() == Some("1"),
            keys: Arc::new(keys),
        })
    }
}

fn long_enough(name: &'static str, secret: &str) -> Result<(), ConfigError> {
    if secret.len() < SECRET_BYTES_MIN {
        return Err(ConfigError::SecretTooShort(name));
    }
    Ok(())
}

/// The value of [`FRAMES_PER_SECOND`] alone, for a room, which needs no other setting.
///
/// # Errors
/// If it is wrong.
pub fn frames_per_second(setting: Option<String>) -> Result<u32, ConfigError> {
    let Some(text) = setting.filter(|text| !text.is_empty()) else {
        return Ok(limits::ROOM_FRAMES_PER_SECOND);
    };
    let number = text.parse().ok();
    number
        .filter(|number| (1..=FRAMES_PER_SECOND_MAX).contains(number))
        .ok_or(ConfigError::FramesPerSecond(text))
}

fn waiting_max(setting: Option<String>) -> Result<u32, ConfigError> {
    let Some(text) = setting else {
        return Ok(limits::EXECUTIONS_WAITING_MAX);
    };
    let number = text.parse().ok();
    number
        .filter(|number| (1..=WAITING_MAX_MAX).contains(number))
        .ok_or(ConfigError::WaitingMax(text))
}

fn results_kept_ms(setting: Option<String>) -> Result<Option<i64>, ConfigError> {
    let days = match setting {
        None => limits::RESULTS_DAYS,
        Some(text) => {
            let number = text.parse().ok();
            number
                .filter(|days| (0..=limits::RESULTS_DAYS_MAX).contains(days))
                .ok_or(ConfigError::ResultsDays(text))?
        }
    };
    Ok((days > 0).then(|| i64::from(days).saturating_mul(24 * 3_600 * 1_000)))
}

fn collector(setting: Option<String>) -> Result<Option<Arc<str>>, ConfigError> {
    let Some(text) = setting else {
        return Ok(None);
    };
    let address = text.trim_end_matches('/');
    let is_address = address.parse::<http::Uri>().is_ok_and(|uri| {
        let scheme = uri.scheme_str();
        (scheme == Some("http") || scheme == Some("https")) && uri.query().is_none()
    });
    if !is_address {
        return Err(ConfigError::Collector(text));
    }
    Ok(Some(address.into()))
}

fn trusted_proxies(list: &str) -> Result<Arc<[Network]>, ConfigError> {
    let entries = list.split(',').map(str::trim);
    entries
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let wrong = |_| ConfigError::TrustedProxies(entry.to_owned());
            entry.parse().map_err(wrong)
        })
        .collect()
}

fn origins(list: &str) -> Result<Arc<[String]>, ConfigError> {
    list.split(',')
        .map(str::trim)
        .filter(|origin| !origin.is_empty())
        .map(|origin| {
            let host = origin
                .strip_prefix("https://")
                .or(origin.strip_prefix("http://"));
            match host {
                Some(host) if !host.is_empty() && !host.contains(['/', '*', ' ']) => {
                    Ok(origin.to_owned())
                }
                _ => Err(ConfigError::Origin(origin.to_owned())),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_settings(|name| {
            settings
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        })
    }

    const SECRET: (&str, &str) = ("CODECRAFTER_SECRET", "0123456789abcdef0123456789abcdef");

    #[test]
    fn a_deployment_needs_nothing_but_a_secret() {
        let config = config(&[SECRET]).ok().unwrap();
        assert_eq!(&*config.tenant, "main");
        assert!(config.origins.is_empty() && !config.contract);
        assert!(config.collector.is_none(), "spans go nowhere");
        assert_eq!(config.waiting_max, limits::EXECUTIONS_WAITING_MAX);
        assert_eq!(config.frames_per_second, limits::ROOM_FRAMES_PER_SECOND);
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let wrong = |settings: &[(&str, &str)]| config(settings).err().unwrap();
        assert_eq!(wrong(&[]), ConfigError::SecretMissing);
        let short = wrong(&[("CODECRAFTER_SECRET", "short")]);
        assert_eq!(short, ConfigError::SecretTooShort("CODECRAFTER_SECRET"));
        assert_eq!(
            wrong(&[SECRET, ("CODECRAFTER_TENANT", "A/b")]),
            ConfigError::Tenant
        );
        let star = wrong(&[SECRET, ("CODECRAFTER_ORIGINS", "https://a.example, *")]);
        assert_eq!(star, ConfigError::Origin("*".into()));
        for number in ["0", "-1", "many", "100001"] {
            let waiting = wrong(&[SECRET, ("CODECRAFTER_WAITING_MAX", number)]);
            assert_eq!(waiting, ConfigError::WaitingMax(number.into()));
        }
        for address in ["collector:4318", "ftp://collector", "http://", "http://a?b"] {
            let collector = wrong(&[SECRET, ("CODECRAFTER_OTLP", address)]);
            assert_eq!(collector, ConfigError::Collector(address.into()));
        }
        let limit = wrong(&[SECRET, ("CODECRAFTER_LIMITS", "login=never")]);
        assert_eq!(limit, ConfigError::Limits(WrongLimit("login=never".into())));
        let proxy = wrong(&[SECRET, ("CODECRAFTER_TRUSTED_PROXIES", "::1, proxy")]);
        assert_eq!(proxy, ConfigError::TrustedProxies("proxy".into()));
        for days in ["-1", "1.5", "a year", "36501"] {
            let kept = wrong(&[SECRET, ("CODECRAFTER_RESULTS_DAYS", days)]);
            assert_eq!(kept, ConfigError::ResultsDays(days.into()));
        }
        for number in ["0", "1.5", "1000001"] {
            let frames = wrong(&[SECRET, ("CODECRAFTER_FRAMES_PER_SECOND", number)]);
            assert_eq!(frames, ConfigError::FramesPerSecond(number.into()));
        }
    }
}
