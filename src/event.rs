//! Events: Label Studio's webhook actions, with the objects each is about.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

/// Label Studio's webhook actions (`WebhookAction.ACTIONS` in its `webhooks/models.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 12] = [
        Action::ProjectCreated,
        Action::ProjectUpdated,
        Action::ProjectDeleted,
        Action::TasksCreated,
        Action::TasksDeleted,
        Action::AnnotationCreated,
        Action::AnnotationsCreated,
        Action::AnnotationUpdated,
        Action::AnnotationsDeleted,
        Action::LabelLinkCreated,
        Action::LabelLinkUpdated,
        Action::LabelLinkDeleted,
    ];

    /// The name that Label Studio gives it.
    pub fn name(self) -> &'static str {
        match self {
            Action::ProjectCreated => "PROJECT_CREATED",
            Action::ProjectUpdated => "PROJECT_UPDATED",
            Action::ProjectDeleted => "PROJECT_DELETED",
            Action::TasksCreated => "TASKS_CREATED",
            Action::TasksDeleted => "TASKS_DELETED",
            Action::AnnotationCreated => "ANNOTATION_CREATED",
            Action::AnnotationsCreated => "ANNOTATIONS_CREATED",
            Action::AnnotationUpdated => "ANNOTATION_UPDATED",
            Action::AnnotationsDeleted => "ANNOTATIONS_DELETED",
            Action::LabelLinkCreated => "LABEL_LINK_CREATED",
            Action::LabelLinkUpdated => "LABEL_LINK_UPDATED",
            Action::LabelLinkDeleted => "LABEL_LINK_DELETED",
        }
    }

    /// Whether it shows annotations and their tasks.
    pub fn is_about_annotations(self) -> bool {
        matches!(self, Action::AnnotationCreated | Action::AnnotationsCreated | Action::AnnotationUpdated)
    }

    /// What it is about: project, task, annotation or label_link.
    pub fn kind(self) -> &'static str {
        match self {
            Action::ProjectCreated | Action::ProjectUpdated | Action::ProjectDeleted => "project",
            Action::TasksCreated | Action::TasksDeleted => "task",
            Action::AnnotationCreated
            | Action::AnnotationsCreated
            | Action::AnnotationUpdated
            | Action::AnnotationsDeleted => "annotation",
            Action::LabelLinkCreated | Action::LabelLinkUpdated | Action::LabelLinkDeleted => "label_link",
        }
    }

    /// Whether it tells of something that came into being.
    pub fn is_a_creation(self) -> bool {
        self.name().ends_with("_CREATED")
    }

    /// Whether one event may be about several objects.
    pub fn is_about_several(self) -> bool {
        matches!(
            self,
            Action::TasksCreated | Action::TasksDeleted | Action::AnnotationsCreated | Action::AnnotationsDeleted
        )
    }

    /// Whether each of its objects is shown in full, and there may be many.
    pub fn shows_many(self) -> bool {
        matches!(self, Action::TasksCreated | Action::AnnotationsCreated)
    }

    /// Whether it goes to webhooks without a project alone.
    pub fn organization_only(self) -> bool {
        matches!(self, Action::ProjectCreated | Action::ProjectDeleted)
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
        let known = || Action::ALL.map(Action::name).join(", ");
        Action::ALL
            .into_iter()
            .find(|action| action.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| format!("Label Studio has no such action; it has {}", known()))
    }
}

/// Something that happened in a project, for whoever subscribed to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What happened.
    pub action: Action,
    /// Where.
    pub project: i64,
    /// To which objects, by id; one alone for the actions that are about one.
    pub objects: Vec<i64>,
    /// Whose project it was; known only of a deleted project, which cannot be looked up.
    pub organization: Option<i64>,
    /// When the last of its changes was captured.
    pub occurred_at: SystemTime,
}

impl Event {
    /// The same in events of at most so many objects.
    pub fn cut(self, most: usize) -> Vec<Event> {
        if self.objects.len() <= most {
            return vec![self];
        }
        self.objects.chunks(most).map(|objects| Event { objects: objects.to_vec(), ..self }).collect()
    }
}
