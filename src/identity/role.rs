//! What administrators may do: four roles, and a table.

use std::fmt;

/// What a key or a signed-in person is to `/admin`. Whoever has a role opens `/admin` and nothing else, so
/// that a key which a model can see never has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// May do everything, also make and revoke keys of administrators.
    Owner,
    /// Runs the gateway: keys of developers, approvals, budgets. Sees who did what, not what was said.
    Operator,
    /// Reads all of the ledger, and changes nothing.
    Auditor,
    /// Reads sums and who did what, and changes nothing.
    Viewer,
}

/// One thing that an administrator may or may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See what was spent, and how budgets stand.
    ReadSums,
    /// See entries of the ledger without what was said: who, what, when, how it ended.
    ReadEntries,
    /// See what was said: commands, arguments, kept bodies; and search in it.
    ReadContents,
    /// See how the gateway is set up: keys without their secrets, policies, definitions of tools.
    ReadSettings,
    /// Make, rotate and revoke keys of developers and services, and revoke users.
    ChangeKeys,
    /// Make, rotate and revoke keys that have a role.
    ChangeAdminKeys,
    /// Approve and reject definitions of tools.
    ChangeApprovals,
    /// Change budgets.
    ChangeBudgets,
    /// Change anything else.
    ChangeSettings,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Operator, Self::Auditor, Self::Viewer];

    /// The word of the config, of the key file and of the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Viewer => "viewer",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether it allows this.
    pub const fn may(self, what: Permission) -> bool {
        match what {
            Permission::ReadSums | Permission::ReadEntries => true,
            Permission::ReadSettings => !matches!(self, Self::Viewer),
            Permission::ReadContents => matches!(self, Self::Owner | Self::Auditor),
            Permission::ChangeKeys | Permission::ChangeApprovals | Permission::ChangeBudgets => {
                matches!(self, Self::Owner | Self::Operator)
            }
            Permission::ChangeAdminKeys | Permission::ChangeSettings => matches!(self, Self::Owner),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Permission {
    /// Every permission, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::ReadSums,
        Self::ReadEntries,
        Self::ReadContents,
        Self::ReadSettings,
        Self::ChangeKeys,
        Self::ChangeAdminKeys,
        Self::ChangeApprovals,
        Self::ChangeBudgets,
        Self::ChangeSettings,
    ];

    /// Its name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadSums => "read_sums",
            Self::ReadEntries => "read_entries",
            Self::ReadContents => "read_contents",
            Self::ReadSettings => "read_settings",
            Self::ChangeKeys => "change_keys",
            Self::ChangeAdminKeys => "change_admin_keys",
            Self::ChangeApprovals => "change_approvals",
            Self::ChangeBudgets => "change_budgets",
            Self::ChangeSettings => "change_settings",
        }
    }

    /// What is allowed, for people: `see ...`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::ReadSums => "see sums and budgets",
            Self::ReadEntries => "see entries of the ledger",
            Self::ReadContents => "see or search what was said",
            Self::ReadSettings => "see keys and settings",
            Self::ChangeKeys => "change keys of developers",
            Self::ChangeAdminKeys => "change keys of administrators",
            Self::ChangeApprovals => "approve or reject tools",
            Self::ChangeBudgets => "change budgets",
            Self::ChangeSettings => "change settings",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Permission, Role};

    #[test]
    fn the_table() {
        // In the order of `Permission::ALL`: sums, entries, contents, settings; keys, admin keys, approvals,
        // budgets, settings.
        let table = [
            (Role::Owner, "yyyy yyyyy"),
            (Role::Operator, "yy-y y-yy-"),
            (Role::Auditor, "yyyy -----"),
            (Role::Viewer, "yy-- -----"),
        ];
        assert_eq!(table.map(|(role, _)| role), Role::ALL);
        for (role, row) in table {
            let found: String =
                Permission::ALL.iter().map(|what| if role.may(*what) { 'y' } else { '-' }).collect();
            assert_eq!(found, row.replace(' ', ""), "{role}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
        }
        assert_eq!(Role::from_name("Owner"), None);
        assert_eq!(Role::from_name("admin"), None);
    }
}
