//! Actions: what kinds of events there are, Label Studio's own and lshookd's. All that is known of each is one row
//! of the table below.

use std::fmt;
use std::str::FromStr;

use strum::VariantArray;

/// Label Studio's webhook actions (`WebhookAction.ACTIONS` in its `webhooks/models.py`), and then the additional
/// actions (`lshookd.additional_action`). Each is named in capitals, with underscores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum Action {
    ProjectCreated,
    ProjectUpdated,
    ProjectDeleted,
    TasksCreated,
    TasksDeleted,
    AnnotationCreated,
    AnnotationsCreated,
    AnnotationUpdated,
    AnnotationsDeleted,
    LabelLinkCreated,
    LabelLinkUpdated,
    LabelLinkDeleted,
    TaskUpdated,
    TasksUpdated,
    TasksCompleted,
    TasksReopened,
    ProjectCompleted,
    AnnotationSkipped,
    GroundTruthSet,
    PredictionsCreated,
    PredictionsDeleted,
    DraftCreated,
    DraftUpdated,
    DraftDeleted,
    StorageSyncStarted,
    StorageSyncCompleted,
    StorageSyncFailed,
    UserCreated,
    UserUpdated,
    UserDeleted,
    LabelCreated,
    LabelUpdated,
    LabelDeleted,
    OperationalEvent,
}

/// What an event is about, and what is watched for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum Kind {
    Project,
    Task,
    Annotation,
    LabelLink,
    Prediction,
    Draft,
    Storage,
    User,
    Label,
    /// lshookd's own operation, which is in no table of Label Studio's.
    Operation,
}

/// How an event shows its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// There is only the project to show.
    Nothing,
    /// One object, under this name.
    One(&'static str),
    /// A list of objects, under this name.
    Several(&'static str),
}

/// Whose action it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Label Studio's own.
    LabelStudio,
    /// One that only lshookd has.
    Additional,
}

/// What happened to the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Created,
    Updated,
    Deleted,
    /// Something that the action's name says.
    Other,
}

/// Which webhooks receive it, and whether the event names a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// Webhooks of the project and of its organization.
    Project,
    /// Webhooks of the organization alone, though it is about a project.
    OrganizationOfProject,
    /// Webhooks of the organization alone, and it is in no project.
    Organization,
}

/// One row of the table.
struct Facts {
    action: Action,
    kind: Kind,
    verb: Verb,
    layout: Layout,
    /// Under which name the object shows what it belongs to.
    beside: Option<&'static str>,
    audience: Audience,
    origin: Origin,
}

const fn facts(
    action: Action,
    (kind, verb): (Kind, Verb),
    layout: Layout,
    beside: Option<&'static str>,
    audience: Audience,
    origin: Origin,
) -> Facts {
    Facts { action, kind, verb, layout, beside, audience, origin }
}

/// All actions, in the order of the enumeration. The list of annotations that are created in bulk has a singular
/// name, as in Label Studio.
#[rustfmt::skip]
static TABLE: &[Facts] = {
    use Action::*;
    use Audience::{Organization, OrganizationOfProject, Project as InProject};
    use Kind::*;
    use Layout::{Nothing, One, Several};
    use Origin::{Additional, LabelStudio};
    use Verb::*;
    &[
        facts(ProjectCreated, (Project, Created), Nothing, None, OrganizationOfProject, LabelStudio),
        facts(ProjectUpdated, (Project, Updated), Nothing, None, InProject, LabelStudio),
        facts(ProjectDeleted, (Project, Deleted), Nothing, None, OrganizationOfProject, LabelStudio),
        facts(TasksCreated, (Task, Created), Several("tasks"), None, InProject, LabelStudio),
        facts(TasksDeleted, (Task, Deleted), Several("tasks"), None, InProject, LabelStudio),
        facts(AnnotationCreated, (Annotation, Created), One("annotation"), Some("task"), InProject, LabelStudio),
        facts(AnnotationsCreated, (Annotation, Created), Several("annotation"), Some("task"), InProject, LabelStudio),
        facts(AnnotationUpdated, (Annotation, Updated), One("annotation"), Some("task"), InProject, LabelStudio),
        facts(AnnotationsDeleted, (Annotation, Deleted), Several("annotations"), None, InProject, LabelStudio),
        facts(LabelLinkCreated, (LabelLink, Created), Several("label_link"), None, InProject, LabelStudio),
        facts(LabelLinkUpdated, (LabelLink, Updated), One("label_link"), Some("label"), InProject, LabelStudio),
        facts(LabelLinkDeleted, (LabelLink, Deleted), One("label_link"), None, InProject, LabelStudio),
        facts(TaskUpdated, (Task, Updated), One("task"), None, InProject, Additional),
        facts(TasksUpdated, (Task, Updated), Several("tasks"), None, InProject, Additional),
        facts(TasksCompleted, (Task, Other), Several("tasks"), None, InProject, Additional),
        facts(TasksReopened, (Task, Other), Several("tasks"), None, InProject, Additional),
        facts(ProjectCompleted, (Project, Other), Nothing, None, InProject, Additional),
        facts(AnnotationSkipped, (Annotation, Other), One("annotation"), Some("task"), InProject, Additional),
        facts(GroundTruthSet, (Annotation, Other), One("annotation"), Some("task"), InProject, Additional),
        facts(PredictionsCreated, (Prediction, Created), Several("predictions"), None, InProject, Additional),
        facts(PredictionsDeleted, (Prediction, Deleted), Several("predictions"), None, InProject, Additional),
        facts(DraftCreated, (Draft, Created), One("draft"), None, InProject, Additional),
        facts(DraftUpdated, (Draft, Updated), One("draft"), None, InProject, Additional),
        facts(DraftDeleted, (Draft, Deleted), One("draft"), None, InProject, Additional),
        facts(StorageSyncStarted, (Storage, Other), One("storage"), None, InProject, Additional),
        facts(StorageSyncCompleted, (Storage, Other), One("storage"), None, InProject, Additional),
        facts(StorageSyncFailed, (Storage, Other), One("storage"), None, InProject, Additional),
        facts(UserCreated, (User, Created), One("user"), None, Organization, Additional),
        facts(UserUpdated, (User, Updated), One("user"), None, Organization, Additional),
        facts(UserDeleted, (User, Deleted), One("user"), None, Organization, Additional),
        facts(LabelCreated, (Label, Created), One("label"), None, Organization, Additional),
        facts(LabelUpdated, (Label, Updated), One("label"), None, Organization, Additional),
        facts(LabelDeleted, (Label, Deleted), One("label"), None, Organization, Additional),
        facts(OperationalEvent, (Operation, Other), One("operation"), None, Organization, Additional),
    ]
};

impl Action {
    /// All actions.
    pub const ALL: &'static [Action] = Action::VARIANTS;

    /// Its name, such as `TASKS_CREATED`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    fn facts(self) -> &'static Facts {
        let facts = &TABLE[self as usize];
        debug_assert_eq!(facts.action, self);
        facts
    }

    /// Whether Label Studio has it, too.
    pub fn is_label_studios(self) -> bool {
        self.facts().origin == Origin::LabelStudio
    }

    /// What it is about.
    pub fn kind(self) -> Kind {
        self.facts().kind
    }

    /// Under which name it shows its objects.
    pub fn layout(self) -> Layout {
        self.facts().layout
    }

    /// Under which name it shows beside an object, or beside each, what that belongs to.
    pub fn beside(self) -> Option<&'static str> {
        self.facts().beside
    }

    /// Whether objects were created.
    pub fn is_a_creation(self) -> bool {
        self.facts().verb == Verb::Created
    }

    /// Whether objects were deleted.
    pub fn is_a_deletion(self) -> bool {
        self.facts().verb == Verb::Deleted
    }

    /// Whether objects were updated, so that there is something that they were before.
    pub fn is_an_update(self) -> bool {
        self.facts().verb == Verb::Updated
    }

    /// Whether one event may be about several objects.
    pub fn is_about_several(self) -> bool {
        matches!(self.layout(), Layout::Several(_))
    }

    /// Whether it happens to the organization and not in a project, and is shown without one.
    pub fn has_no_project(self) -> bool {
        self.facts().audience == Audience::Organization
    }

    /// Whether only webhooks without a project receive it.
    pub fn organization_only(self) -> bool {
        self.facts().audience != Audience::Project
    }
}

impl Kind {
    /// Its name, as in `lshookd.watched_row`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(name: &str) -> Result<Action, String> {
        let known = || Action::ALL.iter().map(|action| action.name()).collect::<Vec<_>>().join(", ");
        Action::ALL
            .iter()
            .copied()
            .find(|action| action.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| format!("there is no such action; the actions are {}", known()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_action_in_their_order() {
        let rows: Vec<Action> = TABLE.iter().map(|facts| facts.action).collect();
        assert_eq!(rows, Action::ALL);
        for action in Action::ALL {
            assert_eq!(action.is_a_creation(), action.name().ends_with("_CREATED"), "{action}");
            assert_eq!(action.is_a_deletion(), action.name().ends_with("_DELETED"), "{action}");
            assert_eq!(action.is_an_update(), action.name().ends_with("_UPDATED"), "{action}");
        }
    }

    #[test]
    fn label_studio_has_twelve_actions_and_each_is_found_by_its_name() {
        assert_eq!(Action::ALL.iter().filter(|action| action.is_label_studios()).count(), 12);
        for action in Action::ALL {
            assert_eq!(action.name().to_lowercase().parse(), Ok(*action));
        }
        assert_eq!(Action::LabelLinkCreated.name(), "LABEL_LINK_CREATED");
        assert!("TASK_CREATED".parse::<Action>().unwrap_err().contains("TASKS_CREATED"));
    }
}
