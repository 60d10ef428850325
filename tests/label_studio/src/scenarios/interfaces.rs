//! Labeling interfaces of many kinds: what they ask for, and the results that annotators submit with them.

use anyhow::Result;
use serde_json::{Value, json};

use crate::scenario::Claim::Same;
use crate::scenario::{Scenario, label_studio_is_before, scenario};
use crate::scenario_run::ScenarioRun;

/// An interface that is chosen for an empty project, a task for it, and an annotation of it.
macro_rules! interface {
    ($what:literal, $interface:expr, $data:expr, $result:expr) => {
        scenario!(
            $what,
            ["TASKS_DELETED", "PROJECT_UPDATED", "TASKS_CREATED", "ANNOTATION_CREATED", "ANNOTATION_UPDATED"],
            Same,
            |run| label(run, $interface, $data, $result).await
        )
    };
}

pub fn scenarios() -> Vec<Scenario> {
    vec![
        interface!(
            "label the boxes of an image",
            r#"<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image"><Label value="Owl"/></RectangleLabels><Number name="eggs" toName="image" perRegion="true"/></View>"#,
            json!({"image": "https://example.com/owl.jpg"}),
            json!([
                {"id": "r1", "from_name": "box", "to_name": "image", "type": "rectanglelabels", "original_width": 640,
                    "original_height": 480, "image_rotation": 0,
                    "value": {"x": 10.5, "y": 0.0, "width": 33.333333333333336, "height": 1e-7, "rotation": 0, "rectanglelabels": ["Owl"]}},
                {"id": "r1", "from_name": "eggs", "to_name": "image", "type": "number", "value": {"number": 3}},
            ])
        ),
        interface!(
            "label the regions of an audio",
            r#"<View><Audio name="audio" value="$audio"/><Labels name="call" toName="audio"><Label value="Hoot"/></Labels><TextArea name="words" toName="audio" perRegion="true"/></View>"#,
            json!({"audio": "https://example.com/hoot.wav"}),
            json!([
                {"id": "a1", "from_name": "call", "to_name": "audio", "type": "labels", "original_length": 12.0,
                    "value": {"start": 0.0, "end": 2.5, "channel": 0, "labels": ["Hoot"]}},
                {"id": "a1", "from_name": "words", "to_name": "audio", "type": "textarea", "value": {"text": ["hu", "hu"]}},
            ])
        ),
        interface!(
            "follow an object through a video",
            r#"<View><Labels name="bird" toName="video"><Label value="Owl"/></Labels><Video name="video" value="$video" framerate="25.0"/><VideoRectangle name="box" toName="video"/></View>"#,
            json!({"video": "https://example.com/flight.mp4"}),
            json!([{"id": "v1", "from_name": "box", "to_name": "video", "type": "videorectangle",
                "value": {"framesCount": 250, "duration": 10.0, "labels": ["Owl"], "sequence": [
                    {"frame": 1, "enabled": true, "rotation": 0, "x": 1.0, "y": 2.5, "width": 10, "height": 10.0, "time": 0.04},
                    {"frame": 250, "enabled": false, "rotation": 0, "x": 90, "y": 2.5, "width": 10, "height": 10.0, "time": 10.0}]}}])
        ),
        interface!(
            "place a bird in a taxonomy",
            r#"<View><Text name="text" value="$text"/><Taxonomy name="kind" toName="text"><Choice value="Strigiformes"><Choice value="Strix"/></Choice><Choice value="Passeriformes"/></Taxonomy></View>"#,
            json!({"text": "hu"}),
            json!([{"from_name": "kind", "to_name": "text", "type": "taxonomy",
                "value": {"taxonomy": [["Strigiformes", "Strix"], ["Passeriformes"]]}}])
        ),
        interface!(
            "label the pages that a repeater shows",
            r#"<View><Repeater on="$pages" indexFlag="{{idx}}" mode="pagination"><Image name="page_{{idx}}" value="$pages[{{idx}}].url"/><RectangleLabels name="box_{{idx}}" toName="page_{{idx}}"><Label value="Owl"/></RectangleLabels></Repeater></View>"#,
            json!({"pages": [{"url": "https://example.com/1.png"}, {"url": "https://example.com/2.png"}]}),
            json!([{"id": "p1", "from_name": "box_1", "to_name": "page_1", "type": "rectanglelabels",
                "value": {"x": 1, "y": 1, "width": 2, "height": 2, "rotation": 0, "rectanglelabels": ["Owl"]}}])
        ),
        interface!(
            "choose among labels that come with the task",
            r#"<View><Text name="text" value="$text"/><Choices name="kind" toName="text" value="$kinds"/></View>"#,
            json!({"text": "hu", "kinds": [{"value": "owl", "hint": "at night"}, {"value": "wren", "selected": true}]}),
            json!([{"from_name": "kind", "to_name": "text", "type": "choices", "value": {"choices": ["owl"]}}])
        ),
        interface!(
            "rank the answers of a dialogue",
            r#"<View><Paragraphs name="chat" value="$dialogue" layout="dialogue"/><ParagraphLabels name="part" toName="chat"><Label value="Call"/></ParagraphLabels><Pairwise name="better" toName="chat,chat"/></View>"#,
            json!({"dialogue": [{"author": "owl", "text": "hu?"}, {"author": "wren", "text": "zirp."}]}),
            json!([{"id": "d1", "from_name": "part", "to_name": "chat", "type": "paragraphlabels",
                "value": {"start": "0", "end": "0", "startOffset": 0, "endOffset": 2, "text": "hu", "paragraphlabels": ["Call"]}}])
        ),
        interface!(
            "talk in a chat",
            r#"<View><Chat name="chat" value="$messages" editable="true"/></View>"#,
            // Older versions do not know this interface, and want text for any that they do not know.
            if label_studio_is_before(1, 21) {
                json!({"messages": "hu?"})
            } else {
                json!({"messages": [{"role": "user", "content": "hu?"}]})
            },
            json!([{"id": "c1", "from_name": "chat", "to_name": "chat", "type": "chatmessage",
                "value": {"chatmessage": {"role": "assistant", "content": "hu!", "createdAt": 1735689600000.5}}}])
        ),
        interface!(
            "relate two spans of a text",
            r#"<View><Labels name="part" toName="text"><Label value="Owl"/></Labels><Text name="text" value="$text"/></View>"#,
            json!({"text": "the owl hears the owl"}),
            json!([
                {"id": "s1", "from_name": "part", "to_name": "text", "type": "labels", "value": {"start": 4, "end": 7, "text": "owl", "labels": ["Owl"]}},
                {"id": "s2", "from_name": "part", "to_name": "text", "type": "labels", "value": {"start": 18, "end": 21, "text": "owl", "labels": ["Owl"]}},
                {"type": "relation", "from_id": "s1", "to_id": "s2", "direction": "bi", "labels": ["hears"]},
            ])
        ),
    ]
}

async fn label(run: &mut ScenarioRun, interface: &str, data: Value, result: Value) -> Result<()> {
    run.act("delete_tasks", None, json!({})).await?;
    run.set_project(json!({"label_config": interface})).await?;
    run.import(json!([{"data": data}])).await?;
    // What comes next changes what the event before it shows, where that is planned only then.
    run.settle().await?;
    run.note_tasks().await?;
    run.annotate(0, json!({"result": result, "lead_time": 2.0})).await?;
    run.settle().await?;
    run.edit(json!({"result": result, "lead_time": 4.5})).await.map(drop)
}
