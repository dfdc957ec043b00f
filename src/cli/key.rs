//! The API key that a command sends.

use std::path::PathBuf;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::shell;
use super::trouble::Trouble;

/// The variable with the key itself. There is no flag: other users see what is on the command line.
const KEY: &str = "ROLECALL_KEY";
/// The variable with the name of a file that holds the key.
const KEY_FILE: &str = "ROLECALL_KEY_FILE";

#[derive(Clone, clap::Args)]
#[group(skip)]
pub struct KeyArgs {
    /// A file with the API key to call with. If not given, the key is in ROLECALL_KEY, or none is sent.
    #[arg(long, env = KEY_FILE, value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// Sends the API key to another machine without TLS too: something else encrypts the connection.
    #[arg(long, env = "ROLECALL_KEY_WITHOUT_TLS")]
    pub key_without_tls: bool,
}

/// A connection that sends the key with each call.
pub type Transport = InterceptedService<Channel, Key>;

/// The metadata `authorization` of all calls. `None` sends none.
#[derive(Clone, Default)]
pub struct Key(Option<MetadataValue<Ascii>>);

impl KeyArgs {
    /// Returns the flags with which another command in the same environment sends the same key.
    pub fn repeated(&self) -> Vec<String> {
        let given =
            self.key_file.as_ref().filter(|path| std::env::var_os(KEY_FILE).as_deref() != Some(path.as_os_str()));
        given.map(|path| shell::flag("--key-file", &path.to_string_lossy())).unwrap_or_default()
    }

    /// Reads the key.
    pub fn read(&self) -> Result<Key, Trouble> {
        let (text, place) = match (&self.key_file, std::env::var(KEY)) {
            (Some(path), _) => {
                let place = format!("`{}`", path.display());
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Trouble::new(format!("the API key cannot be read from {place}: {error}"), "check --key-file")
                })?;
                (text, place)
            }
            (None, Ok(text)) if !text.trim().is_empty() => (text, KEY.into()),
            (None, _) => return Ok(Key(None)),
        };
        let value = Some(text.trim()).filter(|text| !text.is_empty()).map(|text| format!("Bearer {text}"));
        let value: Option<MetadataValue<Ascii>> = value.and_then(|value| value.parse().ok());
        let mut value = value
            .ok_or_else(|| Trouble::new(format!("{place} is no API key"), "`rolecall keys create` creates one"))?;
        value.set_sensitive(true);
        Ok(Key(Some(value)))
    }
}

impl Key {
    /// Returns the value of the metadata `authorization`. `None` if no key is sent.
    pub fn header(&self) -> Option<&str> {
        self.0.as_ref().and_then(|value| value.to_str().ok())
    }
}

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}
