//! Events: what happened in Label Studio, by its own webhook actions and lshookd's, with the objects each is
//! about.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use strum::VariantArray;

/// Label Studio's webhook actions (`WebhookAction.ACTIONS` in its `webhooks/models.py`), and then those that
/// Label Studio does not have (`lshookd.action`). Each is named in capitals, with underscores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
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
    // From here on they are lshookd's.
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
    CommentCreated,
    CommentUpdated,
    CommentDeleted,
    UserCreated,
    UserUpdated,
    UserDeleted,
    LabelCreated,
    LabelUpdated,
    LabelDeleted,
}

/// What an event tells of, and what is watched for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    Project,
    Task,
    Annotation,
    LabelLink,
    Prediction,
    Draft,
    Storage,
    Comment,
    User,
    Label,
}

/// How an event shows its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// There is only the project to show.
    Nothing,
    /// One object, under this name.
    One(&'static str),
    /// A list of them, under this name.
    Several(&'static str),
}

/// How the end of an action was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum End {
    /// Nobody waited for it: each transaction stands alone, or the event is urgent.
    None,
    /// Its connection was closed.
    Closed,
    /// Its connection was idle.
    Idle,
    /// The wait reached its limit.
    Limit,
}

impl End {
    /// As in `lshookd.event.ended_by`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Action {
    /// All of them.
    pub const ALL: &'static [Action] = Action::VARIANTS;

    /// Its name.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether Label Studio has it.
    pub fn is_label_studios(self) -> bool {
        self < Action::TaskUpdated
    }

    /// What it is about.
    pub fn kind(self) -> Kind {
        use Action::*;
        match self {
            ProjectCreated | ProjectUpdated | ProjectDeleted | ProjectCompleted => Kind::Project,
            TasksCreated | TasksDeleted | TaskUpdated | TasksUpdated | TasksCompleted | TasksReopened => Kind::Task,
            AnnotationCreated | AnnotationsCreated | AnnotationUpdated | AnnotationsDeleted | AnnotationSkipped
            | GroundTruthSet => Kind::Annotation,
            LabelLinkCreated | LabelLinkUpdated | LabelLinkDeleted => Kind::LabelLink,
            PredictionsCreated | PredictionsDeleted => Kind::Prediction,
            DraftCreated | DraftUpdated | DraftDeleted => Kind::Draft,
            StorageSyncStarted | StorageSyncCompleted | StorageSyncFailed => Kind::Storage,
            CommentCreated | CommentUpdated | CommentDeleted => Kind::Comment,
            UserCreated | UserUpdated | UserDeleted => Kind::User,
            LabelCreated | LabelUpdated | LabelDeleted => Kind::Label,
        }
    }

    /// Under which name it shows its objects. That of annotations made in bulk is singular, as Label
    /// Studio has it.
    pub fn layout(self) -> Layout {
        use Action::*;
        match self {
            ProjectCreated | ProjectUpdated | ProjectDeleted | ProjectCompleted => Layout::Nothing,
            TasksCreated | TasksDeleted | TasksUpdated | TasksCompleted | TasksReopened => Layout::Several("tasks"),
            TaskUpdated => Layout::One("task"),
            AnnotationsCreated => Layout::Several("annotation"),
            AnnotationsDeleted => Layout::Several("annotations"),
            AnnotationCreated | AnnotationUpdated | AnnotationSkipped | GroundTruthSet => Layout::One("annotation"),
            LabelLinkCreated => Layout::Several("label_link"),
            LabelLinkUpdated | LabelLinkDeleted => Layout::One("label_link"),
            PredictionsCreated | PredictionsDeleted => Layout::Several("predictions"),
            DraftCreated | DraftUpdated | DraftDeleted => Layout::One("draft"),
            StorageSyncStarted | StorageSyncCompleted | StorageSyncFailed => Layout::One("storage"),
            CommentCreated | CommentUpdated | CommentDeleted => Layout::One("comment"),
            UserCreated | UserUpdated | UserDeleted => Layout::One("user"),
            LabelCreated | LabelUpdated | LabelDeleted => Layout::One("label"),
        }
    }

    /// Under which name it shows beside an object, or beside each, what that belongs to.
    pub fn beside(self) -> Option<&'static str> {
        use Action::*;
        match self {
            AnnotationCreated | AnnotationsCreated | AnnotationUpdated | AnnotationSkipped | GroundTruthSet => {
                Some("task")
            }
            LabelLinkUpdated => Some("label"),
            _ => None,
        }
    }

    /// Whether it tells of something that came into being.
    pub fn is_a_creation(self) -> bool {
        self.name().ends_with("_CREATED")
    }

    /// Whether it tells of something that is gone.
    pub fn is_a_deletion(self) -> bool {
        self.name().ends_with("_DELETED")
    }

    /// Whether it tells of something that was different before.
    pub fn is_an_update(self) -> bool {
        self.name().ends_with("_UPDATED")
    }

    /// Whether one event may be about several objects.
    pub fn is_about_several(self) -> bool {
        matches!(self.layout(), Layout::Several(_))
    }

    /// Whether it happens to the organization and not in a project, and is shown without one.
    pub fn has_no_project(self) -> bool {
        matches!(self.kind(), Kind::User | Kind::Label)
    }

    /// Whether it goes to webhooks without a project alone.
    pub fn organization_only(self) -> bool {
        matches!(self, Action::ProjectCreated | Action::ProjectDeleted) || self.has_no_project()
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
            .ok_or_else(|| format!("there is no such action; there are {}", known()))
    }
}

/// Something that happened, for whoever subscribed to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What happened.
    pub action: Action,
    /// In which project; 0 where it has none.
    pub project: i64,
    /// To which objects, by id; one alone for the actions that are about one.
    pub objects: Vec<i64>,
    /// Whose it was; known only of what cannot be looked up: a deleted project, and what has no project.
    pub organization: Option<i64>,
    /// When the last of its changes was captured.
    pub occurred_at: SystemTime,
    /// The writer's transaction; the latest, where there are several.
    pub transaction: u64,
    /// How the end of its action was known.
    pub end: End,
    /// The columns that changed, where lshookd's action tells of them.
    pub changed: Vec<String>,
}

impl Event {
    /// The same, of some of its objects.
    pub fn of(&self, objects: Vec<i64>) -> Event {
        Event { objects, changed: self.changed.clone(), ..*self }
    }

    /// The same in events of at most so many objects.
    pub fn cut(self, most: usize) -> Vec<Event> {
        if self.objects.len() <= most {
            return vec![self];
        }
        self.objects.chunks(most).map(|objects| self.of(objects.to_vec())).collect()
    }
}

/// How a subscription wants its events, beyond what Label Studio shows (`lshookd.payload_option`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Form {
    /// Deletions with the objects as they last were.
    pub enriched: bool,
    /// Updates with the objects as they were before.
    pub previous: bool,
}

impl Form {
    /// What of it makes a difference to an action.
    pub fn of(self, action: Action) -> Form {
        Form { enriched: self.enriched && action.is_a_deletion(), previous: self.previous && action.is_an_update() }
    }
}

/// An event as somebody wants it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The event.
    pub event: &'a Event,
    /// How it is shown.
    pub form: Form,
}

impl Shown<'_> {
    /// Whether the objects themselves are shown, and not their ids alone.
    pub fn in_full(&self) -> bool {
        self.form.enriched || !self.event.action.is_a_deletion()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_studio_has_twelve_actions_and_each_is_found_by_its_name() {
        assert_eq!(Action::ALL.iter().filter(|action| action.is_label_studios()).count(), 12);
        for action in Action::ALL {
            assert_eq!(action.name().to_lowercase().parse(), Ok(*action));
        }
        assert_eq!(Action::LabelLinkCreated.name(), "LABEL_LINK_CREATED");
        assert!("TASK_CREATED".parse::<Action>().unwrap_err().contains("TASKS_CREATED"));
    }

    #[test]
    fn a_form_matters_to_the_actions_that_it_is_about_alone() {
        let all = Form { enriched: true, previous: true };
        assert_eq!(all.of(Action::TasksCreated), Form::default());
        assert_eq!(all.of(Action::TasksDeleted), Form { enriched: true, previous: false });
        assert_eq!(all.of(Action::AnnotationUpdated), Form { enriched: false, previous: true });
    }
}
