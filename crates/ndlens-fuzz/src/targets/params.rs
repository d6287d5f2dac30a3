//! Parameters of random transforms, as users give them back: JSON that may be of other items, of
//! other transforms, or nothing of the kind.

use std::sync::OnceLock;

use ndlens_core::{DType, View};
use ndlens_kernels::{Filter, Interpolation, Stores};
use ndlens_transforms::{
    Argument, DrawnList, Pipeline, Scratch, Step, Stream, by_name, split_params,
};

use crate::memory;
use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "params",
    promise: "parameters make the item that they describe, or are refused; no pixel is elsewhere",
    run,
    max_len: 512,
};

const SHAPE: [usize; 3] = [9, 7, 3];

/// Every random transform, in lists that images of these sizes fit.
fn pipelines() -> &'static [(Pipeline, View)] {
    static PIPELINES: OnceLock<Vec<(Pipeline, View)>> = OnceLock::new();
    PIPELINES.get_or_init(|| {
        let number = |value: f64| Argument::Float(value);
        let pair = |low, high| Argument::List(vec![number(low), number(high)]);
        let size = |a, b| Argument::List(vec![Argument::Int(a), Argument::Int(b)]);
        let filter = Filter { interpolation: Interpolation::Bilinear, antialias: true };
        let interpolation = Argument::Text(filter.interpolation.name().to_owned());
        let make = |name: &str, arguments: &[(&str, Argument)]| -> Box<dyn Step> {
            let own = |(name, value): &(&str, Argument)| ((*name).to_owned(), value.clone());
            by_name(name, arguments.iter().map(own).collect()).expect(name)
        };
        let crop = make(
            "RandomCrop",
            &[
                ("size", size(6, 5)),
                ("padding", Argument::List(vec![Argument::Int(1); 4])),
                ("pad_if_needed", Argument::Bool(false)),
                ("fill", Argument::List(vec![number(3.0)])),
                ("padding_mode", Argument::Text("reflect".to_owned())),
            ],
        );
        let resized = make(
            "RandomResizedCrop",
            &[
                ("size", size(5, 4)),
                ("scale", pair(0.2, 1.0)),
                ("ratio", pair(0.5, 2.0)),
                ("interpolation", interpolation),
                ("antialias", Argument::Bool(true)),
            ],
        );
        let turn = make(
            "RandomQuarterTurn",
            &[("degrees", Argument::List([0, 90, 180, 270].map(Argument::Int).to_vec()))],
        );
        let p = [("p", number(0.5))];
        let flips = ["RandomHorizontalFlip", "RandomVerticalFlip"].map(|name| make(name, &p));
        let jitter = make(
            "ColorJitter",
            &[
                ("brightness", pair(0.5, 1.5)),
                ("contrast", pair(0.5, 1.5)),
                ("saturation", pair(0.5, 1.5)),
                ("hue", pair(-0.25, 0.25)),
            ],
        );
        let gray = make("RandomGrayscale", &p);
        let floats = make(
            "ToDtype",
            &[("dtype", Argument::Text("float32".to_owned())), ("scale", Argument::Bool(true))],
        );
        let erasing = |value| {
            let ranges = [("p", number(0.9)), ("scale", pair(0.1, 0.5)), ("ratio", pair(0.5, 2.0))];
            make("RandomErasing", &[&ranges[..], &[("value", value)]].concat())
        };
        let noise = make("RandomJitter", &[("sigma", number(0.1))]);
        let scale = make(
            "RandomScale",
            &[("low", number(0.5)), ("high", number(2.0)), ("per_feature", Argument::Bool(true))],
        );
        let [horizontal, vertical] = flips;
        let lists = [
            vec![crop.clone(), horizontal, jitter, gray],
            vec![resized, vertical, floats.clone(), erasing(Argument::Text("random".to_owned()))],
            vec![erasing(Argument::List(vec![number(7.0)])), crop],
            vec![floats, noise, scale],
        ];
        let image = View::from_vec((0..189u8).collect()).reshape(&[9, 7, 3]).expect("an image");
        let square = View::from_vec((0..192u8).collect()).reshape(&[8, 8, 3]).expect("an image");
        let compile = |list: &[Box<dyn Step>], view: &View| {
            Pipeline::compile(list, view.shape(), &DType::U8).expect("a valid list")
        };
        let mut all: Vec<_> =
            lists.iter().map(|list| (compile(list, &image), image.clone())).collect();
        all.push((compile(&[turn], &square), square));
        assert_eq!(image.shape(), SHAPE);
        all
    })
}

fn run(data: &[u8]) {
    let Some((&which, data)) = data.split_first() else { return };
    let pipelines = pipelines();
    let (pipeline, item) = &pipelines[usize::from(which) % pipelines.len()];
    // What is drawn is read back as it was.
    let drawn = pipeline
        .draw(Stream::new(1, "params"), 0, which.into(), item.shape())
        .expect("an item that fits");
    let json = pipeline.params_to_json(&drawn);
    let text = format!("[{json}]");
    let again = split_params(&text).expect("our own text");
    assert_eq!(pipeline.params_from_text(again[0]).expect("our own text"), drawn);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(items) = memory::within(text.len(), 64, || split_params(text)) else { return };
    for params in items {
        let read = memory::within(text.len(), 256, || pipeline.params_from_text(params));
        if let Ok(params) = read {
            makes(pipeline, item, &params);
        }
    }
}

/// Makes the item, whose destination is followed by bytes that no transform may write.
fn makes(pipeline: &Pipeline, item: &View, params: &DrawnList) {
    let mut out = vec![0xAA; pipeline.nbytes() + 64];
    let (item, made) = (item.as_ref(), &mut out[..pipeline.nbytes()]);
    let scratch = &mut Scratch::default();
    drop(pipeline.run(item, params, made, Stores::Cached, scratch));
    assert!(out[pipeline.nbytes()..].iter().all(|&byte| byte == 0xAA));
}
