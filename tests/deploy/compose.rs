//! What docker-compose.yml says, and what of it Docker would make: where the files are that a service finds at its paths.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::root;

/// The file.
pub struct Compose(Value);

/// One of its services.
pub struct Service<'a>(&'a Value);

/// A secret as a service sees it: its name in the file, and that below /run/secrets.
pub struct Secret {
    pub name: String,
    pub target: String,
}

impl Compose {
    pub fn read() -> Compose {
        let text = fs::read_to_string(root().join("docker-compose.yml")).unwrap();
        Compose(serde_saphyr::from_str(&text).unwrap())
    }

    pub fn services(&self) -> impl Iterator<Item = (&str, Service<'_>)> {
        let mut services: Vec<_> = self.0["services"].as_object().unwrap().iter().collect();
        services.sort_by_key(|(name, _)| name.as_str());
        services.into_iter().map(|(name, service)| (name.as_str(), Service(service)))
    }

    pub fn service(&self, name: &str) -> Service<'_> {
        Service(&self.0["services"][name])
    }

    /// The names of secrets, and their files.
    pub fn secret_files(&self) -> impl Iterator<Item = (&str, &str)> {
        let secrets = self.0["secrets"].as_object().unwrap().iter();
        secrets.map(|(name, secret)| (name.as_str(), secret["file"].as_str().unwrap()))
    }

    /// What a service finds at its paths: a path inside of it, and the file, folder or volume that it stands for. The
    /// longest paths first.
    pub fn paths(&self, service: &Service<'_>) -> Vec<(String, String)> {
        let files: BTreeMap<&str, &str> = self.secret_files().collect();
        let secrets = service.secrets().into_iter();
        let mut paths: Vec<(String, String)> = secrets
            .map(|secret| (format!("/run/secrets/{}", secret.target), files[secret.name.as_str()].to_owned()))
            .collect();
        paths.extend(service.list("volumes").iter().map(|volume| {
            let mut parts = volume.split(':');
            let from = parts.next().unwrap().to_owned();
            (parts.next().unwrap().to_owned(), from)
        }));
        paths.sort_by_key(|(inside, _)| std::cmp::Reverse(inside.len()));
        paths
    }
}

impl Service<'_> {
    pub fn value(&self, key: &str) -> &Value {
        &self.0[key]
    }

    /// A list of texts; empty where there is none.
    pub fn list(&self, key: &str) -> Vec<String> {
        let items = self.0[key].as_array().map_or(&[][..], Vec::as_slice);
        items.iter().map(|item| item.as_str().expect("a text").to_owned()).collect()
    }

    pub fn environment(&self) -> Vec<(String, String)> {
        let named = self.0["environment"].as_object().into_iter().flatten();
        named.map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned())).collect()
    }

    pub fn secrets(&self) -> Vec<Secret> {
        let secrets = self.0["secrets"].as_array().map_or(&[][..], Vec::as_slice);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let secret = |secret: &Value| match secret {
            Value::String(name) => Secret { name: name.clone(), target: name.clone() },
            named => Secret { name: text(&named["source"]), target: text(&named["target"]) },
        };
        secrets.iter().map(secret).collect()
    }

    /// Where its command says that it listens.
    pub fn listen(&self) -> Option<String> {
        let command = self.list("command");
        let at = command.iter().position(|word| word == "--listen")?;
        command.get(at + 1).cloned()
    }
}
