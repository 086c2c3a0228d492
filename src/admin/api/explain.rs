//! What the rules say about a call that nobody makes.

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About<'a> {
    /// To name a model.
    Model(&'a str),
    /// To call a tool of a server, both by their own names.
    Tool(&'a str, &'a str),
}

/// Reads the query of a question: the key, and what it is about.
///
/// # Errors
/// What to write instead.
pub fn question(parameters: &[(String, String)]) -> Result<(&str, About<'_>), String> {
    let one = |wanted: &str| {
        let mut found = parameters.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        (found.next().filter(|value| !value.is_empty()), found.next().is_some())
    };
    let (key, model, call) = (one("key"), one("model"), one("call"));
    if let Some((unknown, _)) =
        parameters.iter().find(|(name, _)| !["key", "model", "call"].contains(&name.as_str()))
    {
        return Err(format!("{unknown}: no such parameter; there are key, model and call"));
    }
    if key.1 || model.1 || call.1 {
        return Err("a parameter stands twice".to_owned());
    }
    let Some(key) = key.0 else { return Err("key: name whose call it would be".to_owned()) };
    match (model.0, call.0) {
        (Some(model), None) => Ok((key, About::Model(model))),
        (None, Some(call)) => match call.split_once('.') {
            Some((server, tool)) if !server.is_empty() && !tool.is_empty() => {
                Ok((key, About::Tool(server, tool)))
            }
            _ => Err("call: write it as `server.tool`, such as `github.create_issue`".to_owned()),
        },
        _ => Err("ask about either `model` or `call`".to_owned()),
    }
}
