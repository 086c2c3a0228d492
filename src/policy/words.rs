//! The words of policies: the types, attributes and actions that raw Cedar may speak of.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use crate::call::Class;
use crate::identity::principal::Principal;
use crate::identity::role::Role;

/// What policies are checked against before they hold. Every principal is a key, be it one of the config or
/// of somebody who has signed in; every tool stands below its server.
pub const SCHEMA: &str = r#"entity Org;
entity Team in [Org];
entity Group;
entity User in [Group] = { issuer?: String };
entity Key in [Org, Team, User, Group] = {
  key: String,
  team?: String,
  user?: String,
  issuer?: String,
  groups: Set<String>,
  role: String,
};
entity Server = { name: String };
entity Tool in [Server] = { server: String, name: String, class: String };
entity Model = { name: String };
action call, call_unasked appliesTo { principal: [Key], resource: [Tool] };
action see appliesTo { principal: [Key], resource: [Server] };
action use appliesTo { principal: [Key], resource: [Model] };
"#;

/// The one organisation that there is.
pub(super) const ORG: &str = "org";

/// What may be asked of a policy: an action of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// Calling a tool.
    Call,
    /// Calling it without a person who is asked.
    CallUnasked,
    /// Seeing a server, its prompts and its resources.
    See,
    /// Naming a model.
    Use,
}

impl Action {
    pub(super) const ALL: [Self; 4] = [Self::Call, Self::CallUnasked, Self::See, Self::Use];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::CallUnasked => "call_unasked",
            Self::See => "see",
            Self::Use => "use",
        }
    }
}

/// The types and actions, read once.
#[derive(Debug)]
pub(super) struct Words {
    org: EntityTypeName,
    team: EntityTypeName,
    group: EntityTypeName,
    user: EntityTypeName,
    key: EntityTypeName,
    server: EntityTypeName,
    tool: EntityTypeName,
    model: EntityTypeName,
    actions: [(Action, EntityUid); 4],
}

impl Words {
    /// All of them; nothing only if Cedar refuses words that it has accepted in our tests.
    pub(super) fn all() -> Option<&'static Self> {
        static WORDS: LazyLock<Option<Words>> = LazyLock::new(Words::read);
        WORDS.as_ref()
    }

    fn read() -> Option<Self> {
        let of = |text: &str| EntityTypeName::from_str(text).ok();
        let action = of("Action")?;
        Some(Self {
            org: of("Org")?,
            team: of("Team")?,
            group: of("Group")?,
            user: of("User")?,
            key: of("Key")?,
            server: of("Server")?,
            tool: of("Tool")?,
            model: of("Model")?,
            actions: Action::ALL.map(|one| (one, uid(&action, one.name()))),
        })
    }

    pub(super) fn action(&self, wanted: Action) -> Option<&EntityUid> {
        self.actions.iter().find(|(action, _)| *action == wanted).map(|(_, uid)| uid)
    }

    /// The principal itself, and everything that stands above it.
    pub(super) fn principal(&self, who: &Principal) -> Option<(EntityUid, Vec<Entity>)> {
        let key = uid(&self.key, who.key.as_str());
        let org = uid(&self.org, ORG);
        let groups: HashSet<EntityUid> = who.groups.iter().map(|name| uid(&self.group, name)).collect();
        let mut above: HashSet<EntityUid> = groups.clone();
        above.insert(org.clone());
        let issuer = who.issuer.as_deref().map(|issuer| ("issuer".to_owned(), text(issuer)));
        let mut all = vec![Entity::with_uid(org.clone())];
        all.extend(groups.iter().cloned().map(Entity::with_uid));
        let mut attributes = HashMap::from([
            ("key".to_owned(), text(who.key.as_str())),
            ("role".to_owned(), text(role(who))),
            ("groups".to_owned(), RestrictedExpression::new_set(who.groups.iter().map(|name| text(name)))),
        ]);
        if let Some(team) = &who.team {
            let team_uid = uid(&self.team, team.as_str());
            all.push(Entity::new_no_attrs(team_uid.clone(), HashSet::from([org])));
            above.insert(team_uid);
            attributes.insert("team".to_owned(), text(team.as_str()));
        }
        if let Some(user) = &who.user {
            let user_uid = uid(&self.user, user);
            all.push(Entity::new(user_uid.clone(), issuer.clone().into_iter().collect(), groups).ok()?);
            above.insert(user_uid);
            attributes.insert("user".to_owned(), text(user));
        }
        attributes.extend(issuer);
        all.push(Entity::new(key.clone(), attributes, above).ok()?);
        Some((key, all))
    }

    /// A server.
    pub(super) fn server(&self, name: &str) -> Option<Entity> {
        let attributes = HashMap::from([("name".to_owned(), text(name))]);
        Entity::new(uid(&self.server, name), attributes, HashSet::new()).ok()
    }

    /// A tool; tools of two servers, and of two classes, are never one.
    pub(super) fn tool(&self, server: &str, name: &str, class: Class) -> Option<Entity> {
        let attributes = HashMap::from([
            ("server".to_owned(), text(server)),
            ("name".to_owned(), text(name)),
            ("class".to_owned(), text(class.name())),
        ]);
        let above = HashSet::from([uid(&self.server, server)]);
        Entity::new(uid(&self.tool, &format!("{server}/{name}")), attributes, above).ok()
    }

    /// A model.
    pub(super) fn model(&self, name: &str) -> Option<Entity> {
        let attributes = HashMap::from([("name".to_owned(), text(name))]);
        Entity::new(uid(&self.model, name), attributes, HashSet::new()).ok()
    }
}

/// What those are who have no role.
pub(super) const DEVELOPER: &str = "developer";

/// What a principal is to the house.
pub(super) fn role(who: &Principal) -> &'static str {
    who.role.map_or(DEVELOPER, Role::name)
}

fn uid(of: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id))
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

/// Which facts about a principal some policies can tell apart, whatever they do with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spoken {
    pub(super) key: bool,
    pub(super) team: bool,
    pub(super) user: bool,
    pub(super) issuer: bool,
    pub(super) groups: bool,
    pub(super) role: bool,
}

impl Spoken {
    /// Finds them in the JSON of a policy: what it does not even name it cannot tell apart. More than it
    /// tells apart may be found, which costs a view and no more.
    pub(super) fn find(json: &str) -> Self {
        let names = |words: &[&str]| words.iter().any(|word| json.contains(&format!("\"{word}\"")));
        Self {
            key: names(&["Key", "key"]),
            team: names(&["Team", "team"]),
            user: names(&["User", "user"]),
            issuer: names(&["issuer"]),
            groups: names(&["Group", "groups"]),
            role: names(&["role"]),
        }
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self {
            key: self.key || other.key,
            team: self.team || other.team,
            user: self.user || other.user,
            issuer: self.issuer || other.issuer,
            groups: self.groups || other.groups,
            role: self.role || other.role,
        }
    }
}

/// The facts of one principal that policies can tell apart; of the others nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Told {
    key: Option<Arc<str>>,
    team: Option<Arc<str>>,
    user: Option<Arc<str>>,
    issuer: Option<Arc<str>>,
    groups: Option<Arc<[Arc<str>]>>,
    role: Option<&'static str>,
}

impl Told {
    pub(super) fn of(who: &Principal, spoken: Spoken) -> Self {
        let team = || who.team.as_ref().map(|team| team.as_str().into());
        // A user belongs to groups, and is told by them.
        Self {
            key: spoken.key.then(|| who.key.as_str().into()),
            team: spoken.team.then(team).flatten(),
            user: spoken.user.then(|| who.user.clone()).flatten(),
            issuer: spoken.issuer.then(|| who.issuer.clone()).flatten(),
            groups: spoken.groups.then(|| Arc::clone(&who.groups)),
            role: spoken.role.then(|| role(who)),
        }
    }
}
