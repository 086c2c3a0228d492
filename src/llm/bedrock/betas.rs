//! The betas that Bedrock's InvokeModel knows, and by which names.

use crate::llm::anthropic::hosted::Beta;

/// Models that may think between calls of tools; others refuse to be asked.
const INTERLEAVED: &[&str] =
    &["claude-opus-4-2", "claude-opus-4-1", "claude-opus-4-5", "claude-sonnet-4-2", "claude-sonnet-4-5"];

/// The table. What is not in it is refused by the service as an invalid flag.
pub const BETAS: &[Beta<'static>] = &[
    Beta { name: "advanced-tool-use-2025-11-20", becomes: "tool-search-tool-2025-10-19", models: &[] },
    Beta::same("tool-search-tool-2025-10-19"),
    Beta {
        name: "interleaved-thinking-2025-05-14",
        becomes: "interleaved-thinking-2025-05-14",
        models: INTERLEAVED,
    },
    Beta::same("compact-2026-01-12"),
    Beta::same("computer-use-2025-01-24"),
    Beta::same("computer-use-2025-11-24"),
    Beta::same("context-1m-2025-08-07"),
    Beta::same("context-management-2025-06-27"),
    Beta::same("effort-2025-11-24"),
    Beta::same("fine-grained-tool-streaming-2025-05-14"),
    Beta::same("mid-conversation-output-config-2026-07-01"),
    Beta::same("mid-conversation-tool-changes-2026-07-01"),
    Beta::same("thinking-binding-controls-2026-08-01"),
    Beta::same("thinking-display-updates-2026-08-18"),
];
