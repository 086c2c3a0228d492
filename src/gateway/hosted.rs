//! Calls of Anthropic's models where a cloud hosts them: the caller's body with a few differences, under a
//! path and a head of the cloud's, signed where that is its way.

use std::rc::Rc;

use crate::call::Endpoint;
use crate::clock;
use crate::error::{CallError, Code};
use crate::gateway::caller::Caller;
use crate::gateway::foreign::{self, USER_AGENT};
use crate::gateway::record::Record;
use crate::gateway::request_body::Whole;
use crate::gateway::stream_back::listener::{Listener, Refused};
use crate::http::encode::{self, Fields, UpstreamRequest};
use crate::llm::anthropic::hosted::{self, Count, Hosted, Wanted};
use crate::llm::bedrock::{self, Form};
use crate::llm::vertex;
use crate::net::buffer::Buffer;
use crate::secret::Secret;
use crate::upstream::cloud::Cloud;
use crate::upstream::message::Message;
use crate::upstream::provider::Provider;
use crate::upstream::sigv4;

/// A request as it goes out.
struct Out {
    path: String,
    body: Vec<u8>,
    accept: &'static str,
    /// For the header; empty where the body has them.
    betas: String,
}

/// The request for a model of a cloud, and who listens to the answer.
///
/// # Errors
/// 400 with the name of what the cloud does not take, 404 for a model that it cannot have, 501 where it does
/// not count the tokens of one.
pub(super) fn say<'a>(
    (cloud, provider): (&Cloud, &Provider),
    caller: &mut Caller,
    whole: &Whole,
    (model, stream): (&str, bool),
    record: &mut Record,
) -> Result<(Message, Listener<'a>), CallError> {
    let lines = caller.head.headers.iter(whole.buffer.filled());
    let betas: Vec<&str> = lines
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"anthropic-beta"))
        .filter_map(|(_, value)| str::from_utf8(value).ok())
        .collect();
    let counts = record.endpoint == Endpoint::CountTokens;
    let asked = Asked { provider, body: whole.body(), model, betas: &betas, counts, stream };
    let (out, listener) = match cloud {
        Cloud::Bedrock { .. } => (asked.bedrock(record)?, {
            let form = match (counts, stream) {
                (true, _) => Form::Count,
                (false, true) => Form::Stream,
                (false, false) => Form::Document,
            };
            Listener::Bedrock(Box::new(bedrock::Answer::new(record.id, form)))
        }),
        Cloud::Vertex { project, location } => {
            (asked.vertex((project, location), record)?, Listener::Vertex(Refused::default()))
        }
    };
    write_head(&mut caller.out, cloud, provider, &out);
    let head = Buffer::from(&caller.out[..]);
    let length = out.body.len();
    let body = Rc::new(Buffer::from(&out.body[..]));
    Ok((Message::with_body(head, [Some((body, 0..length)), None, None]), listener))
}

/// What is asked of a cloud.
struct Asked<'a> {
    provider: &'a Provider,
    body: &'a [u8],
    model: &'a str,
    betas: &'a [&'a str],
    counts: bool,
    stream: bool,
}

impl Asked<'_> {
    fn bedrock(&self, record: &mut Record) -> Result<Out, CallError> {
        let path = if self.counts { bedrock::count_path(self.model) } else { None };
        if self.counts && path.is_none() {
            let text = format!(
                "provider {} counts tokens for ids of models alone, and {} is none",
                self.provider.name, self.model
            );
            return Err(CallError::new(Code::NotImplemented).context(text));
        }
        let host = bedrock::host(self.model);
        let count = self.counts.then_some(Count::WholeRequest);
        let wanted = Wanted { model: self.model, betas: self.betas, count };
        let Hosted { body, losses, .. } = hosted::request(self.body, &wanted, &host)?;
        foreign::mark(record, &losses);
        Ok(Out {
            body: if self.counts { bedrock::write_count(&body) } else { body },
            path: path.unwrap_or_else(|| bedrock::invoke_path(self.model, self.stream)),
            accept: if self.stream { bedrock::EVENT_STREAM } else { "application/json" },
            betas: String::new(),
        })
    }

    fn vertex(&self, (project, location): (&str, &str), record: &mut Record) -> Result<Out, CallError> {
        let (model, count) = if self.counts {
            (vertex::count_model(self.model), Some(Count::NamedModel))
        } else {
            (self.model, None)
        };
        let path = if self.counts {
            vertex::count_path(project, location)
        } else {
            vertex::predict_path(project, location, model, self.stream)
        };
        let path = path.ok_or_else(|| {
            let text = format!("provider {} cannot have a model of this name", self.provider.name);
            CallError::new(Code::NotFound).context(text)
        })?;
        let wanted = Wanted { model, betas: self.betas, count };
        let Hosted { body, betas, losses } = hosted::request(self.body, &wanted, &vertex::HOST)?;
        foreign::mark(record, &losses);
        let accept = if self.stream { "text/event-stream, application/json" } else { "application/json" };
        Ok(Out { path, body, accept, betas: betas.join(",") })
    }
}

/// The lines that make a request of JSON a signed one, where its cloud wants that: `path` is the whole of it.
pub(super) fn signed(
    cloud: &Cloud,
    provider: &Provider,
    (path, body): (&str, &[u8]),
) -> Vec<(&'static str, Secret)> {
    match cloud {
        Cloud::Bedrock { signer: Some(signer), .. } => {
            let headers = [("content-type", "application/json"), ("host", &*provider.site.host)];
            let of = sigv4::Request { method: "POST", path, headers: &headers, body };
            signer.sign(&of, clock::unix_s(clock::wall()))
        }
        Cloud::Bedrock { signer: None, .. } | Cloud::Vertex { .. } => Vec::new(),
    }
}

/// Nothing of the caller's own head goes to a cloud but the betas, which have been read.
fn write_head(out: &mut Vec<u8>, cloud: &Cloud, provider: &Provider, request: &Out) {
    const JSON: &str = "application/json";
    let path = format!("{}{}", provider.base_path, request.path);
    let signed = signed(cloud, provider, (&path, &request.body));
    let mut extra: Vec<(&str, &[u8])> = vec![
        ("content-type", JSON.as_bytes()),
        ("accept", request.accept.as_bytes()),
        ("user-agent", USER_AGENT.as_bytes()),
    ];
    if !request.betas.is_empty() {
        extra.push(("anthropic-beta", request.betas.as_bytes()));
    }
    extra.extend(signed.iter().map(|(name, value)| (*name, value.expose().as_bytes())));
    out.clear();
    encode::request_head(
        out,
        &UpstreamRequest {
            method: "POST",
            path: &[path.as_bytes()],
            query: None,
            host: &provider.site.host,
            credential: provider.credential.as_ref().map(|own| (own.header, own.value.expose())),
            extra: &extra,
            content_length: Some(request.body.len() as u64),
        },
        Fields::NONE,
    );
}
