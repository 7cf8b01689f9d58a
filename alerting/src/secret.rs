//! Secrets by reference: settings name a file or an environment variable, never the secret itself.

use std::{fmt, path::PathBuf};

use xueliang_settings::Reader;

/// Something that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one who sends it or signs with it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads the secret that one of the two keys refers to: a file beside the settings, or a variable of the environment.
///
/// The outer `None` means that a mistake was reported, the inner one that neither key is there.
pub fn read_secret(reader: &mut Reader<'_>, [file_key, env_key]: [&'static str; 2]) -> Option<Option<Secret>> {
    let is_written = reader.has(file_key) || reader.has(env_key);
    let file = reader.optional::<PathBuf>(file_key);
    let variable = reader.optional::<String>(env_key);
    if !is_written {
        return Some(None);
    }
    let base = reader.file().parent().map(PathBuf::from).unwrap_or_default();
    let read = match (file, variable) {
        (Some(file), None) => std::fs::read_to_string(base.join(&file))
            .map_err(|error| (file_key, format!("{}: {error}", file.display()))),
        (None, Some(name)) => std::env::var(&name).map_err(|_| (env_key, format!("the environment has no {name}"))),
        (Some(_), Some(_)) => Err((env_key, "the secret's place is doubled".to_owned())),
        (None, None) => return None,
    };
    let read = read.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    match read {
        Ok(secret) if !secret.is_empty() => Some(Some(Secret(secret))),
        Ok(_) => {
            let key = if reader.has(file_key) { file_key } else { env_key };
            reader.refuse(key, "holds nothing", "write the secret there");
            None
        }
        Err((key, problem)) => {
            reader.refuse(key, problem, format!("name one of {file_key} (mode 0600) or {env_key}, and let it exist"));
            None
        }
    }
}

/// The same for a secret that must be there.
pub fn required_secret(reader: &mut Reader<'_>, keys: [&'static str; 2]) -> Option<Secret> {
    let secret = read_secret(reader, keys)?;
    if secret.is_none() {
        let [file_key, env_key] = keys;
        reader.refuse(file_key, "is missing", format!("add {file_key} = \"…\" (mode 0600) or {env_key} = \"…\""));
    }
    secret
}
