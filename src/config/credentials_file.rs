//! What a person writes about where credentials are fetched from: `aws`, `gcp` and `azure` of a provider.

use crate::config::reader::{At, Fields, Reader};
use crate::config::secrets::{self, Source};
use crate::config::yaml::{Node, Value};
use crate::upstream::credentials::azure;

/// Where the credentials of a provider come from.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// What AWS's own tools find, or a profile of their files.
    Aws {
        /// Its name.
        profile: Option<At<String>>,
    },
    /// What Google's own tools find, or what stands here: a document of theirs.
    Gcp {
        /// The document.
        document: Option<At<Source>>,
    },
    /// A token of Microsoft Entra.
    Azure {
        /// Whose.
        who: Azure,
        /// What it is good for.
        scope: String,
    },
}

/// Who asks Microsoft Entra.
#[derive(Clone, Debug)]
pub(crate) enum Azure {
    /// Who Azure's own tools find.
    Default,
    /// An identity of this machine.
    Managed {
        /// Which.
        client: String,
    },
    /// An application with a secret.
    Secret {
        /// The tenant.
        tenant: String,
        /// The application.
        client: String,
        /// Its secret.
        secret: At<Source>,
    },
}

/// What says that the usual search is meant.
const DEFAULT: &[(&str, ())] = &[("default", ())];

/// Whether `aws` says where keys are fetched from; else it has them.
pub(crate) fn is_chain(node: &Node) -> bool {
    match &node.value {
        Value::Text { .. } => true,
        Value::Map(entries) => entries.iter().any(|entry| entry.key == "profile"),
        Value::List(_) => false,
    }
}

/// Reads where the credentials of a provider come from; nothing where they stand in the config.
pub(crate) fn read(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Option<At<Written>> {
    if let Some(node) = fields.get("aws").filter(|node| is_chain(node)) {
        let value = aws(node, &format!("{what}.aws"), reader)?;
        return Some(At { mark: node.mark, value });
    }
    let (name, node) = ["gcp", "azure"].iter().find_map(|name| Some((*name, fields.get(name)?)))?;
    if let Some(key) = ["key", "keys", "auth"].iter().find_map(|name| fields.get(name)) {
        let text = format!("{what}: `{name}` and a key are two ways to say who calls; write one of them");
        reader.fault(key.mark, text);
    }
    let what = format!("{what}.{name}");
    let value = if name == "gcp" { gcp(node, &what, reader)? } else { azure(node, &what, reader)? };
    Some(At { mark: node.mark, value })
}

fn is_text(node: &Node) -> bool {
    matches!(node.value, Value::Text { .. })
}

fn aws(node: &Node, what: &str, reader: &mut Reader) -> Option<Written> {
    if is_text(node) {
        reader.choice(node, what, DEFAULT)?;
        return Some(Written::Aws { profile: None });
    }
    let fields = reader.fields(node, what, &["profile"])?;
    let name = reader.required(&fields, what, "profile")?;
    Some(Written::Aws { profile: Some(reader.text(name, &format!("{what}.profile"))?) })
}

fn gcp(node: &Node, what: &str, reader: &mut Reader) -> Option<Written> {
    if is_text(node) {
        reader.choice(node, what, DEFAULT)?;
        return Some(Written::Gcp { document: None });
    }
    let fields = reader.fields(node, what, &["credentials"])?;
    let document = reader.required(&fields, what, "credentials")?;
    Some(Written::Gcp { document: Some(secrets::read(document, &format!("{what}.credentials"), reader)?) })
}

fn azure(node: &Node, what: &str, reader: &mut Reader) -> Option<Written> {
    if is_text(node) {
        reader.choice(node, what, DEFAULT)?;
        return Some(Written::Azure { who: Azure::Default, scope: azure::SCOPE.to_owned() });
    }
    let fields = reader.fields(node, what, &["tenant_id", "client_id", "client_secret", "scope"])?;
    let text = |name: &str, reader: &mut Reader| {
        let node = fields.get(name)?;
        Some(reader.text(node, &format!("{what}.{name}"))?.value)
    };
    let scope = text("scope", reader);
    if let (Some(_), Some(node)) =
        (scope.as_ref().filter(|it| !it.ends_with("/.default")), fields.get("scope"))
    {
        let text = format!("{what}.scope: expected a resource and `/.default`, such as {}", azure::SCOPE);
        reader.fault(node.mark, text);
    }
    let (tenant, client) = (text("tenant_id", reader), text("client_id", reader));
    let secret = fields.get("client_secret");
    let secret = secret.and_then(|node| secrets::read(node, &format!("{what}.client_secret"), reader));
    let who = match (tenant, client, secret) {
        (Some(tenant), Some(client), Some(secret)) => Azure::Secret { tenant, client, secret },
        (None, Some(client), None) => Azure::Managed { client },
        (None, None, None) => Azure::Default,
        _ => {
            let ways = "an application has `tenant_id`, `client_id` and `client_secret`, an identity of this \
                        machine `client_id` alone";
            reader.fault(fields.mark, format!("{what}: {ways}"));
            return None;
        }
    };
    Some(Written::Azure { who, scope: scope.unwrap_or_else(|| azure::SCOPE.to_owned()) })
}
