//! What an administrator's key may do: the one place that decides it.

use crate::identity::principal::Principal;

/// A kind of thing that can be done at `/admin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// To know oneself and what there is to ask.
    Enter,
    /// To see what is spent, and how budgets stand.
    SeeSpend,
    /// To read entries of the ledger.
    ReadLedger,
    /// To see keys (never their secrets), the config, and what rules say.
    SeeSettings,
    /// To have a config checked that is not in force.
    CheckConfig,
    /// To make, change and revoke keys.
    ChangeKeys,
}

impl Permission {
    /// All of them, in the order in which they are told.
    pub const ALL: &'static [Self] = &[
        Self::Enter,
        Self::SeeSpend,
        Self::ReadLedger,
        Self::SeeSettings,
        Self::CheckConfig,
        Self::ChangeKeys,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enter => "enter",
            Self::SeeSpend => "see_spend",
            Self::ReadLedger => "read_ledger",
            Self::SeeSettings => "see_settings",
            Self::CheckConfig => "check_config",
            Self::ChangeKeys => "change_keys",
        }
    }
}

/// Whether `principal` may do what needs `permission`. An administrator may do everything, and nobody else
/// anything.
pub const fn may(principal: &Principal, permission: Permission) -> bool {
    match permission {
        Permission::Enter
        | Permission::SeeSpend
        | Permission::ReadLedger
        | Permission::SeeSettings
        | Permission::CheckConfig
        | Permission::ChangeKeys => principal.admin,
    }
}
