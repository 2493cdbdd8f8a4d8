"""params.yaml: what is read, and the sentence for each mistake."""

import pytest
import yaml

from stages.check import params
from stages.shared.errors import UserError
from tests.conftest import ROOT

WINDOW = {
    "k": 5,
    "direction": "each",
    "rank_min": 10,
    "rank_max": 100,
    "absolute_margin": None,
    "relative_margin": None,
    "min_score": None,
    "max_score": None,
    "pick": "random",
    "written": False,
    "round_trip": None,
}
# A strategy by labels, a table of entries, and a knowledge base of it.
BY_LABEL = {"k": 5, "labels": {"similarity": {"centroids": 1.0}}}
ENTRIES = {"role": "entries", "columns": {"text": "text_{lang}", "label": "label"}}
PLAIN = {"role": "entries", "columns": {"text": "text", "label": "label"}, "language": "fr"}
LABELLED = {"language": "en", "index": 0.3, "tables": {"kb": ENTRIES}}
KNOWLEDGE_BASE = {
    "corpus__source": "labelled",
    "corpus__columns": None,
    "corpus__labelled": LABELLED,
    "synthesize__queries__per_passage": 0,
    "recipes": {"only": {"compositions": ["enenen", "ko-en-en"], "negatives": "window"}},
    "merges": {},
}
# A base that has layers, a re-ranker of it, and what is re-ranked.
TRANSFORMER = {"base__name": "some/transformer"}
CROSS = {"compositions": ["enenen"], "negatives": "window"}
ROW = {"reranker": "cross", "first_stage": "data/runs/bm25", "depth": 100}
RERANKED = {**TRANSFORMER, "rerankers": {"cross": CROSS}}
LORA = {"rank": 4, "alpha": 8.0, "targets": "all-linear", "dropout": 0.0}
TRANSLATED = {"model": "models/trained/joint", "lexicon": "aligned", "into": "en"}
# A translation that is right but for its name, and prices.
QUERIES = {"of": "queries", "source": "en", "target": "ko"}
PRICES = {"input": 0.15, "output": 0.6}


def averaged(*models):
    return {"method": "linear", "weights": dict.fromkeys(models, 1.0)}


def message(workspace, **changes):
    """The one sentence that an edit is refused with."""
    with pytest.raises(UserError) as caught:
        workspace.edit(**changes) and params.load()
    lines = str(caught.value).splitlines()
    assert len(lines) == 1, lines
    assert "Traceback" not in lines[0]
    return lines[0]


DISTILLATION = {"kind": "kl", "weight": 0.5, "temperature": 0.05}
STOPPING = {"benchmark": "dev", "metric": "ndcg@10", "tasks": ["ko-en"], "every": 4, "patience": 2}
MARKDOWN = {"corpus__source": "markdown", "corpus__columns": None}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"sead": 1}, ["unknown key sead", "did you mean seed?"]),
        ({"train__step": 1}, ["unknown key train.step", "did you mean steps?"]),
        ({"negatives__window__rank_mn": 1}, ["unknown key negatives.window.rank_mn", "did you mean rank_min?"]),
        ({"corpus__columns__txt": "x"}, ["unknown key corpus.columns.txt", "did you mean text?"]),
        ({"merges__avg-four__metod": 1}, ["unknown key merges.avg-four.metod", "did you mean method?"]),
        ({"base__static__qqq": 1}, ["unknown key base.static.qqq: rename or remove it"]),
        ({"windows": {"size": 8, "stride": 9, "best": 1}}, ["windows: stride is 9, beyond size, 8"]),
        (
            {"windows": {"size": 513, "stride": 9, "best": 1}, "teacher__name": "package:multilingual-e5-small"},
            ["windows.size is 513, but teacher reads 512 tokens: lower it"],
        ),
        ({"train__steps": "many"}, ["train.steps is 'many'", "integer"]),
        ({"train__steps": 1.5}, ["train.steps is 1.5"]),
        ({"train__steps": 0}, ["train.steps is 0", "greater than or equal to 1"]),
        ({"train__steps": True}, ["train.steps is True"]),
        ({"train__log_every": 61}, ["train: log_every is 61", "only 60 steps"]),
        (
            {"train__hardness": {"mode": "in_batch_negatives", "strength": 5.0}, "train__in_batch": False},
            ["train: hardness.mode in_batch_negatives is of negatives that in_batch false leaves out"],
        ),
        ({"train__hardness": {"mode": "hard", "strength": 5.0}}, ["train.hardness.mode is 'hard'"]),
        (
            {"train__distillation": {"kind": "kl", "weight": 0.0, "temperature": 1.0}},
            ["train.distillation.weight is 0.0"],
        ),
        (
            {"train__distillation": DISTILLATION, "negatives__window__random": 1},
            [
                "not all of negatives.window are of its ranking, which recipes.enenen, ",
                "name a strategy by ranks alone",
            ],
        ),
        (
            {"train__early_stopping": STOPPING | {"every": 6}},
            ["train: early_stopping.every is 6: it must be a multiple of log_every, 4, and divide steps, 60"],
        ),
        (
            {"train__early_stopping": STOPPING | {"benchmark": "test"}},
            ["is 'test', a test split: stop on a dev split"],
        ),
        ({"train__early_stopping": STOPPING | {"benchmark": "b"}}, ["train.early_stopping.benchmark is 'b': name one"]),
        ({"train__early_stopping": STOPPING | {"tasks": ["ko-em"]}}, ["tasks names 'ko-em'", "did you mean ko-en?"]),
        ({"train__matryoshka": []}, ["train.matryoshka is []", "at least 1"]),
        ({"train__matryoshka": [64, 64]}, ["train.matryoshka: [64, 64] names a size twice: write it once"]),
        ({"train__matryoshka": [64, 256]}, ["train.matryoshka names 256, but base.static.dimension is 256"]),
        ({"train__learning_rate": "0.1"}, ["train.learning_rate is '0.1'"]),
        ({"train__learning_rate": "fast"}, ["train.learning_rate is 'fast'"]),
        ({"train__gradient_checkpointing": "no"}, ["train.gradient_checkpointing is 'no'"]),
        ({"train__sparse_embeddings": True, "train__weight_decay": 0.1}, ["weight_decay 0.1 is of all", "write 0.0"]),
        (
            {**TRANSFORMER, "train__sparse_embeddings": True, "train__freeze": {"layers": 2, "embeddings": True}},
            ["train: sparse_embeddings is of embeddings that lora or freeze leave as they are: write false"],
        ),
        ({"train__precision": "fp64"}, ["train.precision is 'fp64'", "bf16"]),
        ({"train": None}, ["train must hold a group of keys"]),
        ({"seed": -1}, ["seed is -1"]),
        ({"seed": 2**32}, ["seed is 4294967296"]),
        ({"seed": ...}, ["seed is missing"]),
        ({"train__temperature": ...}, ["train.temperature is missing"]),
        ({"languages": ["en", "ko", "korean"]}, ["languages.2", "'korean' is no language tag"]),
        ({"languages": ["en", "ko", "en"]}, ["languages names one twice"]),
        ({"merges__avg-four__weights": {"enenn": 1, "kokoko": 1}}, ["merges.avg-four.weights", "did you mean enenen"]),
        ({"merges__avg-four__weights": {"enenen": 1, "kokoko": -1}}, ["merges.avg-four", "add up to 0"]),
        ({"merges__avg-four__weights": {"enenen": 1}}, ["merges.avg-four.weights", "at least 2"]),
        ({"merges__avg-four__weights": {"enenen": 1, "avg-four": 1}}, ["merges.avg-four.weights names itself"]),
        (
            {
                "merges__m": averaged("n", "joint"),
                "merges__n": averaged("joint", "o"),
                "merges__o": averaged("m", "base"),
            },
            ["merges.m is made of itself (m of n of o of m)", "name other models"],
        ),
        (
            {"merges__m": averaged("avg-four", "joint") | {"method": "fisher"}},
            ["merges.m is fisher", "avg-four has no training set: name recipes in weights"],
        ),
        (
            {"merges__m": {"method": "regmean", "models": ["base", "joint"]}},
            ["merges.m is regmean", "base has no training set: name recipes in models"],
        ),
        (
            {
                "merges__m": {
                    "method": "linear",
                    "search": {"models": ["a", "joint"], "objective": {"mono": 1.0}, "budget": 1},
                }
            },
            ["merges.m.search.models names 'a'", "no recipe or merge makes"],
        ),
        (
            {"merges__joint": {"method": "linear", "weights": {"enenen": 1, "kokoko": 1}}},
            ["recipes.joint has the name"],
        ),
        ({"recipes__base": {"compositions": ["enenen"], "negatives": "window"}}, ["recipes.base has the name"]),
        ({"recipes__joint__negatives": "windw"}, ["recipes.joint.negatives is 'windw'", "window"]),
        ({"recipes__joint__compositions": ["enende"]}, ["recipes.joint.compositions", "'enende' is no composition"]),
        ({"recipes__joint__compositions": []}, ["recipes.joint.compositions"]),
        ({"recipes__a+b": {"compositions": ["enenen"], "negatives": "window"}}, ["recipes.a+b", "'a+b' is no name"]),
        ({"recipes__joint__negatives": "../window"}, ["recipes.joint.negatives: '../window' is no name"]),
        (
            {"merges__" + "a" * 101: {"method": "linear", "weights": {"koenen": 0.5, "enkoko": 0.5}}},
            ["has 101 characters: use 100 at most"],
        ),
        ({"benchmarks__dev__split": "../dev"}, ["benchmarks.dev.split is '../dev'"]),
        ({"corpus__files": "../other/*.md"}, ["corpus.files: '../other/*.md' is not beneath corpus.path"]),
        (
            {"corpus__parts": {"a": {"source": "tmx", "path": "/etc"}}},
            ["corpus.parts.a.path: '/etc' is not beneath corpus.path"],
        ),
        ({"recipes__1st": {"compositions": ["enenen"], "negatives": "window"}}, ["recipes.1st", "'1st' is no name"]),
        ({"negatives__window__rank_max": 201}, ["negatives.window.rank_max is 201", "candidates.depth"]),
        ({"negatives__window__rank_max": 13}, ["negatives.window", "at least k = 5"]),
        ({"negatives__window__direction": "ko-de"}, ["negatives.window.direction is 'ko-de'", "ko-en"]),
        ({"compare__select_on": "test"}, ["compare.select_on is 'test'", "dev split"]),
        ({"compare__select_on": "dv"}, ["compare.select_on is 'dv'", "dev, test"]),
        ({"chosen__openvino": True}, ["chosen.openvino is of transformers, but base.name is static"]),
        (
            {"gate__metrics": {"ndcg@5": dict.fromkeys(("mono", "cross", "multi"), 0.0)}},
            ["metrics names 'ndcg@5'"],
        ),
        ({"compare__choose__constraints__mono__of": "bm25"}, ["constraints.mono.of is 'bm25'", "name a model (base,"]),
        ({"compare__choose__weights": dict.fromkeys(("mono", "cross", "multi"), 0.0) | {"bias": 1.0}}, ["all 0"]),
        ({"compare__metric": "ndcg@5"}, ["compare.metric is 'ndcg@5'", "score.metrics"]),
        ({"compare__metric": "ndgc@10"}, ["compare.metric", "'ndgc@10' is no metric"]),
        ({"score__metrics": ["ndcg@10", "mrr@0"]}, ["score.metrics.1", "'mrr@0' is no metric"]),
        ({"score__metrics": ["ndcg@10", "p@5"]}, ["score.metrics.1", "'p@5' is no metric"]),
        ({"score__metrics": ["ndcg@10", "recall@101"]}, ["rank 101", "raise retrieve.depth to 101"]),
        ({"corpus__split__train": 0.7}, ["corpus.split", "add up to 1"]),
        ({"corpus__columns": None}, ["corpus: columns belong to the sources jsonl, parquet, csv, datasets"]),
        ({"corpus__source": "beir"}, ["corpus: columns belong to the sources jsonl, parquet, csv, datasets"]),
        ({"corpus__source": "markdown", "corpus__columns": None}, ["corpus: files must say", "{lang}"]),
        ({"corpus__source": "tmx"}, ["corpus: columns belong"]),
        ({"corpus__original": "en"}, ["corpus: original", "msgids", "write null"]),
        ({"corpus__files": "*.tmx"}, ["corpus: files belong to the sources tmx"]),
        ({**MARKDOWN, "corpus__files": "docs/*.md"}, ["in its place or a pattern of each language"]),
        ({**MARKDOWN, "corpus__files": {"en": "{lang}/*.md"}}, ["files.en has {lang}", "write en in its place"]),
        ({**MARKDOWN, "corpus__files": {"en": "*.md", "ko": "!ko/**"}}, ["files.ko only leaves files out"]),
        ({**MARKDOWN, "corpus__files": {"en": []}}, ["corpus.files.en"]),
        ({**MARKDOWN, "corpus__files": "../{lang}/*.md"}, ["corpus.files", "'../{lang}/*.md' is not beneath"]),
        *(
            (
                {**MARKDOWN, "corpus__files": {"en": "*.md", "ko": out}},
                ["corpus.files.ko", "is not beneath corpus.path"],
            )
            for out in ("../*.md", ["ko/*.md", "/etc/*.md"], ["ko/*.md", "!../*.md"])
        ),
        ({"corpus__dataset": {"split": "train"}}, ["corpus: dataset belongs to the source datasets"]),
        (
            {"corpus__source": "datasets", "corpus__dataset": {"name": "a/b"}},
            ["'a/b' is on the hub", "pin its revision"],
        ),
        ({"corpus__encoding": "utf-9"}, ["corpus: encoding is 'utf-9'", "cp949"]),
        ({"corpus__source": "mixed"}, ["corpus: parts belong to the source mixed"]),
        ({"corpus__parts": {"a": {"source": "tmx", "path": "a"}}}, ["corpus: parts belong to the source mixed"]),
        (
            {
                "corpus__source": "mixed",
                "corpus__parts": {
                    "a": {"source": "tmx", "path": "a", "weight": 1.0},
                    "b": {"source": "tmx", "path": "b"},
                },
            },
            ["corpus: parts: give each of them a weight, or none"],
        ),
        ({"corpus__chars": [9, 1]}, ["corpus.chars", "begins above its end"]),
        ({"corpus__chars": {"en": [9, 1], "ko": [1, 9]}}, ["corpus.chars.en", "begins above its end"]),
        ({"corpus__chars": {"en": [1, 9]}}, ["corpus.chars has no limits for 'ko': add them"]),
        ({"corpus__duplicates": {"exact": False, "near": 0.9}}, ["corpus.duplicates: near finds exact duplicates too"]),
        ({"fetch": {"x": {"repo": "belebele", "revision": "1", "files": ["*"]}}}, ["fetch.x.repo", "'belebele'"]),
        ({"teacher__name": "static"}, ["teacher.name is 'static'", "write base"]),
        (
            {"base__vocabulary": {"keep": "texts", "languages": []}},
            ["base.vocabulary does not apply to base.name static", "write all"],
        ),
        ({"base__vocabulary": "texts"}, ["base.vocabulary is 'texts'", "'all'"]),
        ({"base__vocabulary": {"keep": "words", "languages": []}}, ["base.vocabulary.keep is 'words'"]),
        (
            {
                "base__name": "BAAI/bge-m3",
                "base__vocabulary": {"keep": "texts", "languages": ["de"]},
                "benchmarks__test__languages": ["ko", "fr", "de"],
            },
            ["benchmarks.test is in fr, whose pieces base.vocabulary drops", "base.vocabulary.languages"],
        ),
        ({"base__static__form": None}, ["unknown key base.static.form (did you mean from?)"]),
        ({"base__static__from": "static"}, ["base.static.from is 'static'", "write null"]),
        ({"base__static__from": "package:nothing"}, ["base.static.from 'package:nothing' is no encoder"]),
        (
            {"base__name": "BAAI/bge-m3", "base__static__from": "BAAI/bge-m3"},
            ["base.static.from belongs to base.name static", "write null"],
        ),
        ({"base__static__documents": "test"}, ["base.static.documents is 'test'"]),
        ({"base__prompts": "None"}, ["base.prompts is 'None'", "'none'"]),
        ({"base__prompts": {"query": "q"}}, ["base.prompts.passage is missing"]),
        ({"base__prompts": {"query": "q", "passage": "p", "doc": "d"}}, ["unknown key base.prompts.doc"]),
        ({"train__lora": {"rank": 8, "alpha": 8, "targets": ["q"], "dropout": 0}}, ["train.lora", "base.name static"]),
        ({"train__lora": {"rank": 8, "alpha": 8, "targets": [], "dropout": 0}}, ["train.lora.targets", "at least 1"]),
        ({"train__lora": {"rank": 8, "alpha": 8.0, "targets": "all", "dropout": 0.0}}, ["train.lora.targets is 'all'"]),
        (
            {"train__lora": {"rank": 8, "alpha": 8, "targets": ["q"], "dropout": 0, "drop": 1}},
            ["unknown key train.lora.drop", "mean dropout"],
        ),
        (
            {"recipes__koenen__batches": {"scheme": "hybrid"}},
            ["recipes.koenen.batches.alpha is 0.5", "some batches are mono-lingual"],
        ),
        (
            {"recipes__kokoko__batches": {"scheme": "hybrid", "alpha": 0}},
            ["recipes.kokoko.batches.alpha is 0", "some batches are cross-lingual"],
        ),
        (
            {"recipes__joint__batches": {"scheme": "x-x-mono"}},
            ["recipes.joint.batches.scheme is x-x-mono, which takes compositions of one language, and enkoko is none"],
        ),
        ({"recipes__joint__batches": {"scheme": "x-y"}}, ["recipes.joint.batches.scheme is x-y", "enenen is none"]),
        ({"recipes__enenko__batches": {"scheme": "hybrid"}}, ["recipes.enenko.batches.scheme", "enenko is none"]),
        ({"recipes__joint__batches": {"alpha": 0.5}}, ["recipes.joint.batches: alpha belongs to the scheme hybrid"]),
        (
            {"recipes__joint__batches": {"scheme": "x-y", "draw": "size"}},
            ["recipes.joint.batches: draw belongs to the schemes x-x-mono and hybrid"],
        ),
        ({"recipes__hybrid__batches__draw": "sise"}, ["recipes.hybrid.batches.draw is 'sise'", "'uniform' or 'size'"]),
        ({"recipes__hybrid__batches__draw": 2.0}, ["recipes.hybrid.batches.draw is 2.0"]),
        ({"recipes__joint__domains": ["art"]}, ["recipes.joint.domains names 'art'", "add domains.art"]),
        ({"recipes__joint__part": [0.5, 0.5]}, ["recipes.joint: part [0.5, 0.5] is empty"]),
        ({"recipes__joint__train": {"steps": 2}}, ["recipes.joint.train: log_every is 4", "only 2 steps"]),
        (
            {"recipes__joint__train": {"max_length": 8}},
            ["recipes.joint.train.max_length does not apply to a static base"],
        ),
        ({"negatives__window__within": "domain"}, ["negatives.window.within is domain, but there are no domains"]),
        ({"negatives__window__within": "domain", "negatives__window__random": 1}, ["within keeps what the teacher's"]),
        (
            {"compare__contrasts": {"c": {"models": ["joit"], "against": ["base"]}}},
            ["compare.contrasts.c.models names 'joit'", "did you mean joint?"],
        ),
        (
            {"compare__contrasts": {"c": {"models": ["joint"], "against": ["joint"]}}},
            ["compare.contrasts.c: joint is named twice"],
        ),
        (
            {"lexicons__aligned": {"source": "llm", "path": "p.md"}},
            ["codeswitch.switched.lexicon is 'aligned', a language model that has no words to switch"],
        ),
        ({"recipes__joint__compositions": "*-*-de"}, ["'*-*-de' is a pattern of no composition of en, ko"]),
        (
            {"benchmarks__contamination": {"source": "beir", "path": "x"}},
            ["benchmarks.contamination has the name of a key of metrics/summary.json"],
        ),
        ({"benchmarks__dev__metric": "accuracy@1"}, ["benchmarks.dev.metric is 'accuracy@1'", "add it there"]),
        (
            {"benchmarks__dev__columns": {"text": "t", "label": "l"}},
            ["benchmarks.dev: columns belong to the source intents"],
        ),
        ({"corpus__queries": "source"}, ["corpus: queries: source needs"]),
        ({"benchmarks__dev__split": None}, ["benchmarks.dev: the source held-out needs a split"]),
        ({"corpus__languages": ["en", "de", "ko"]}, ["corpus.languages names 'de'", "add it there or remove it here"]),
        ({"corpus__languages": ["en", "ko", "en"]}, ["corpus.languages names one twice"]),
        ({"corpus__languages": []}, ["corpus.languages", "at least 1"]),
        ({"corpus__languages": ["en"]}, ["corpus.languages leaves out 'ko'", "synthesize.translations", "or the lang"]),
        (
            {"corpus__languages": ["en"], "synthesize__translations": {"back": QUERIES}},
            ["corpus.languages leaves out 'ko'"],
        ),
        ({"corpus__source": "none"}, ["corpus.source none leaves only", "synthesize.topics", "per_topic above 0"]),
        (
            {"synthesize__translations": {"a": {"of": "passages", "source": "de", "target": "ko"}}},
            ["synthesize.translations.a.source is 'de'", "no passages by then", "name one of corpus.languages"],
        ),
        (
            {"synthesize__translations": {"a": {"of": "queries", "source": "de", "target": "ko"}}},
            ["synthesize.translations.a.source is 'de'", "no queries by then", "name one of languages"],
        ),
        (
            {"synthesize__translations": {"a": {"of": "passages", "source": "en", "target": "hi-Latn"}}},
            ["synthesize.translations.a.target is 'hi-Latn', which languages does not name", "translate queries alone"],
        ),
        (
            {"synthesize__translations": {"a": {"of": "passages", "source": "ko", "target": "ko"}}},
            ["synthesize.translations.a", "both ko", "name two languages"],
        ),
        ({"synthesize__translations": {"topics": QUERIES}}, ["translations.topics has the name of another job"]),
        ({"synthesize__translations": {"queries": QUERIES}}, ["translations.queries has the name of another job"]),
        ({"synthesize__translations": {"labelled": QUERIES}}, ["translations.labelled has the name of another job"]),
        ({"synthesize__translations": {"a b": QUERIES}}, ["synthesize.translations.a b", "'a b' is no name"]),
        (
            {"synthesize__varieties": {"hinglish": "Hinglish"}},
            ["synthesize.varieties", "'hinglish' is no language tag"],
        ),
        ({"synthesize__topics__lengths": []}, ["synthesize.topics.lengths", "at least 1"]),
        (
            {"synthesize__filters__query_chars": [300, 5]},
            ["synthesize.filters.query_chars", "the least, then the most"],
        ),
        ({"synthesize__filters__passage_chars": [40]}, ["synthesize.filters.passage_chars", "at least 2"]),
        ({"synthesize__filters__script": 1.5}, ["synthesize.filters.script is 1.5"]),
        ({"synthesize__filters__scripts": 0.5}, ["unknown key synthesize.filters.scripts", "did you mean script?"]),
        ({"llm__max_cost_usd": 5.0}, ["llm: max_cost_usd needs prices", "max_completion_tokens"]),
        ({"llm__max_cost_usd": 5.0, "llm__prices": PRICES}, ["llm: max_cost_usd needs", "max_completion_tokens"]),
        ({"llm__max_cost_usd": 5.0, "llm__parameters": {"max_tokens": 9}}, ["llm: max_cost_usd needs prices"]),
        ({"llm__parameters": {"model": "m"}}, ["llm: parameters.model is set by the stage itself: remove it"]),
        ({"llm__parameters": {"max_tokens": "9"}}, ["llm: parameters", "greatest length is '9'", "a whole number"]),
        ({"llm__parameters": {"max_tokens": True}}, ["llm: parameters", "greatest length is True"]),
        ({"llm__base_url": "localhost:8000"}, ["llm.base_url: 'localhost:8000' is no URL", "http://localhost:8000/v1"]),
        ({"references__r": {}}, ["references.r: it has no kind: write one of encoder, bm25 and endpoint"]),
        (
            {"references__r": {"bm25": {}, "encoder": "a/b"}},
            ["references.r: it has encoder and bm25: write one of encoder"],
        ),
        ({"references__r": {"bm25": {}, "pooling": "cls"}}, ["references.r: pooling is of encoder, and this is bm25"]),
        ({"references__r": {"bm25": {"b": 1.5}}}, ["references.r.bm25.b is 1.5"]),
        ({"references__r": {"bm52": {}}}, ["unknown key references.r.bm52", "did you mean bm25?"]),
        (
            {"references__r": {"fusion": ["bm25", "base"], "k": 60}},
            ["references.r: a fusion is a member of the group fusions: write fusions.<name>: {of: [bm25, base]} there"],
        ),
        ({"references__joint": {"bm25": {}}}, ["references.joint has the name of a model of the study: rename it"]),
        ({"references__base": {"bm25": {}}}, ["references.base has the name of a model of the study: rename it"]),
        (
            {"references__r": {"encoder": "models/trained/joint"}},
            ["references.r.encoder is 'models/trained/joint', a model of the study", "name another, or remove"],
        ),
        ({"references__r": {"encoder": "avg-four"}}, ["references.r.encoder is 'avg-four', a model of the study"]),
        ({"references__r": {"encoder": "static"}}, ["references.r.encoder is 'static', a model of the study"]),
        (
            {"references__r": {"encoder": "package:e5"}},
            ["references.r.encoder 'package:e5' is no encoder that a package carries"],
        ),
        (
            {"references__r": {"encoder": "a/b", "preset": "c"}},
            ["references.r.preset is 'c': write null or one of"],
        ),
        (
            {"references__r": {"endpoint": {"model": "m", "base_url": "localhost"}}},
            ["references.r.endpoint.base_url: 'localhost' is no URL", "http://localhost:8000/v1"],
        ),
        (
            {"references__r": {"endpoint": {"model": "m", "key_env": "sk-1"}}},
            ["references.r.endpoint.key_env: what is given is no name of an environment variable"],
        ),
        (
            {"references__r": {"endpoint": {"model": "m", "max_cost_usd": 1.0}}},
            ["references.r.endpoint: max_cost_usd needs price"],
        ),
        (
            {"references__r": {"endpoint": {"model": "m", "parameters": {"query": {"dimensions": 3}}}}},
            ["references.r.endpoint.parameters: dimensions is set by the stage itself: remove it"],
        ),
        ({"lexicons__l": {"source": "guess", "path": "x"}}, ["lexicons.l.source is 'guess'"]),
        (
            {"lexicons__l": {"source": "alignment", "path": "x", "csls": 5}},
            ["lexicons.l: csls is of embeddings, and this is alignment: remove it"],
        ),
        (
            {"lexicons__l": {"source": "embeddings", "path": "x", "vectors": "encoder", "most": None}},
            ["lexicons.l: most null would be all words of the other language: write a number"],
        ),
        (
            {"lexicons__l": {"source": "dictionary", "path": "x"}},
            ["lexicons.l: files is missing: name the file beneath path of each pair of languages, {en-ko: en-ko.tsv}"],
        ),
        (
            {"lexicons__l": {"source": "dictionary", "path": "x", "files": {"en-kr": "x.tsv"}}},
            ["lexicons.l.files names 'en-kr' (did you mean en-ko?): write some of en-ko, ko-en"],
        ),
        (
            {"lexicons__l": {"source": "embeddings", "path": "x", "files": {"en-ko": "x.vec"}}},
            ["lexicons.l.files names 'en-ko'", "write some of en, ko"],
        ),
        (
            {"lexicons__l": {"source": "embeddings", "path": "models/trained/joint", "vectors": "encoder"}},
            ["lexicons.l.path is 'models/trained/joint', a model that is made of training sets", "write models/base"],
        ),
        (
            {"lexicons__l": {"source": "titles", "path": "x"}},
            ["lexicons.l.path is 'x', and no files are named: name them, or write data/collected"],
        ),
        ({"fusions__f": {"of": ["bm25"]}}, ["fusions.f.of", "at least 2"]),
        ({"fusions__f": {"of": ["bm25", "bm25"]}}, ["fusions.f.of names one twice: name each once"]),
        (
            {"fusions__f": {"of": ["bm25", "jiont"]}},
            ["fusions.f.of names 'jiont', which there is not (did you mean joint?): name some of base"],
        ),
        (
            {"fusions": {"f": {"of": ["bm25", "base"]}, "g": {"of": ["f", "base"]}}},
            ["fusions.g.of names 'f', a fusion itself: name the rows that it is of"],
        ),
        (
            {"recipes__joint__switched": {"variant": "swiched", "share": 0.5}},
            ["recipes.joint.switched.variant is 'swiched', which there is not (did you mean switched?)"],
        ),
        (
            {"codeswitch__switched__kind": "bilingual"},
            ["codeswitch.switched: bilingual has one target: name it alone in targets, or write kind "],
        ),
        (
            {"translated__t": {**TRANSLATED, "model": "models/trained/jiont"}},
            ["translated.t.model is 'models/trained/jiont', which no stage makes (did you mean models/trained/joint?)"],
        ),
        (
            {"codeswitch__switched__lexicon": "algined"},
            [
                "codeswitch.switched.lexicon is 'algined', which there is not (did you mean aligned?)",
                "lexicons.algined",
            ],
        ),
        (
            {"lexicons": {}, "codeswitch": {}, "recipes__switched": ..., "translated__t": TRANSLATED},
            ["translated.t.lexicon is 'aligned', which there is not: add lexicons.aligned, or remove translated.t"],
        ),
        ({"translated__bm25": TRANSLATED}, ["translated.bm25 has the name of a reference: rename it"]),
        ({"fusions__bm25": {"of": ["joint", "base"]}}, ["fusions.bm25 has the name of a reference: rename it"]),
        (
            {"rerankers": {"c": CROSS}},
            ["rerankers.c reads a query and a passage together, which base.name static cannot"],
        ),
        (
            {**TRANSFORMER, "rerankers": {"joint": CROSS}},
            ["rerankers.joint has the name of a recipe: rename it"],
        ),
        (
            {**TRANSFORMER, "rerankers": {"c": {**CROSS, "negatives": "windwo"}}},
            ["rerankers.c.negatives is 'windwo', which no strategy makes"],
        ),
        (
            {**TRANSFORMER, "rerankers": {"c": {**CROSS, "compositions": ["enen"]}}},
            ["rerankers.c.compositions: 'enen' is no composition of en, ko"],
        ),
        (
            {**TRANSFORMER, "rerankers": {"c": {**CROSS, "batches": {"scheme": "hybrid"}}}},
            ["rerankers.c.batches.alpha is 0.5, so some batches are cross-lingual"],
        ),
        (
            {**TRANSFORMER, "rerankers": {"c": {**CROSS, "train": {"steps": 3}}}},
            ["params.yaml: rerankers.c.train: log_every is 4, but there are only 3 steps: lower it"],
        ),
        (
            {**TRANSFORMER, "rerankers": {"c": {**CROSS, "train": {"temperature": 1.0}}}},
            ["unknown key rerankers.c.train.temperature"],
        ),
        (
            {**TRANSFORMER, "rerankers": {"c": {**CROSS, "train": {"mini_batch_tokens": 64}}}},
            [
                "rerankers.c reads pairs, which mini_batch_tokens does not bound",
                "under rerankers.c.train, null",
            ],
        ),
        (
            {**TRANSFORMER, "train__mini_batch_tokens": 64, "rerankers": {"c": CROSS}},
            ["rerankers.c reads pairs, which mini_batch_tokens does not bound"],
        ),
        (
            {**TRANSFORMER, "train__lora": LORA, "rerankers": {"c": CROSS}},
            ["rerankers.c would be trained with train.lora", "write `lora: null` under rerankers.c.train"],
        ),
        (
            {**RERANKED, "rerank": {"r": {**ROW, "reranker": "corss"}}},
            ["rerank.r.reranker is 'corss', which there is not (did you mean cross?): add rerankers.corss"],
        ),
        (
            {**RERANKED, "rerank": {"r": {**ROW, "first_stage": "bm25"}}},
            ["rerank.r.first_stage is 'bm25', which holds no runs", "data/runs/bm25"],
        ),
        (
            {**RERANKED, "rerank": {"r": {**ROW, "depth": 101}}},
            ["rerank.r.depth is 101, but its first stage keeps only retrieve.depth 100 ranks"],
        ),
        ({**RERANKED, "rerank": {"bm25": ROW}}, ["rerank.bm25 has the name of a reference: rename it"]),
        ({**RERANKED, "rerank": {"joint": ROW}}, ["rerank.joint has the name of a model: rename it"]),
        ({"fusions__avg-four": {"of": ["joint", "base"]}}, ["fusions.avg-four has the name of a model of the study"]),
        ({"llm__batch_size": 50_001}, ["llm.batch_size is 50001", "50000"]),
        ({"llm__provider": "azure"}, ["llm.provider is 'azure'", "'recorded' or 'openai'"]),
        (
            {"negatives__window__round_trip": 201},
            ["negatives.window.round_trip is 201", "raise candidates.depth or low"],
        ),
        ({"negatives__window__round_trip": 0}, ["negatives.window.round_trip is 0"]),
        ({"train__in_batch": ...}, ["train.in_batch is missing: add it"]),
        (
            {**TRANSFORMER, "train__guided": 0.0, "train__freeze": {"layers": 2, "embeddings": True}},
            ["train: guided has the base itself judge each batch", "write null"],
        ),
        # Labelled collections
        (
            {"negatives__near": BY_LABEL},
            ["negatives.near.labels needs labels, which only corpus.source labelled has: write null"],
        ),
        ({"negatives__near": {"k": 5, "random": 6}}, ["negatives.near: random is 6, more than k = 5: lower it"]),
        ({"negatives__near": {"k": 5, "random": 4}}, ["negatives.near: of k = 5 only random = 4", "add rank_min and"]),
        ({"negatives__near": {"k": 5, "rank_min": 1}}, ["negatives.near: of k = 5 only random = 0"]),
        (
            {"negatives__near": {**WINDOW, "random": 2, "rank_max": 11}},
            ["negatives.near: the window", "at least k = 3 ranks"],
        ),
        *(
            ({"negatives__near": {**strategy, key: value}}, ["negatives.near: ranks, margins", "write null"])
            for strategy in (BY_LABEL, {"k": 5, "random": 5})
            for key, value in [
                ("rank_min", 1),
                ("rank_max", 100),
                ("absolute_margin", 0.1),
                ("relative_margin", 0.05),
                ("min_score", 0.1),
                ("max_score", 0.9),
                ("round_trip", 3),
                ("written", True),
            ]
        ),
        ({"negatives__near": {"k": 5, "labels": {"similarity": {}}}}, ["negatives.near.labels.similarity", "at least"]),
        (
            {"negatives__near": {"k": 5, "labels": {"similarity": {"centroids": 0.0}}}},
            ["negatives.near.labels.similarity.centroids is 0.0", "greater than 0"],
        ),
        ({"negatives__near": {"k": 5, "labels": {"similarity": {"names": 1.0}}}}, ["negatives.near", "'given'"]),
        (
            {"negatives__near": {"k": 5, "labels": {**BY_LABEL["labels"], "noise": 1.5}}},
            ["negatives.near.labels.noise is 1.5"],
        ),
        (KNOWLEDGE_BASE | {"corpus__labelled": None}, ["corpus: labelled belongs to the source labelled"]),
        ({"corpus__labelled": LABELLED}, ["corpus: labelled belongs to the source labelled", "else write null"]),
        (
            KNOWLEDGE_BASE | {"corpus__labelled": {**LABELLED, "tables": {"test": {**ENTRIES, "role": "test"}}}},
            ["corpus.labelled: tables has no table of the role entries", "add one"],
        ),
        (
            KNOWLEDGE_BASE | {"corpus__labelled": {**LABELLED, "index": 1.0}},
            ["corpus.labelled.index is 1.0", "less than 1"],
        ),
        (
            KNOWLEDGE_BASE | {"corpus__labelled": {**LABELLED, "language": "de"}},
            ["corpus.labelled.language is 'de', which languages does not name: add it"],
        ),
        (KNOWLEDGE_BASE | {"corpus__queries": "inverse-cloze"}, ["corpus: queries: a labelled source has its own"]),
        (
            KNOWLEDGE_BASE
            | {"corpus__labelled": {**LABELLED, "tables": {"kb": {"role": "entries", "columns": {"label": "l"}}}}},
            ["corpus.labelled.tables.kb: the role entries needs columns.text"],
        ),
        (
            KNOWLEDGE_BASE
            | {"corpus__labelled": {**LABELLED, "tables": {"kb": ENTRIES, "names": {**ENTRIES, "role": "labels"}}}},
            ["corpus.labelled.tables.names: the role labels needs columns.description"],
        ),
        (
            KNOWLEDGE_BASE
            | {"corpus__labelled": {**LABELLED, "tables": {"kb": {**ENTRIES, "file": "a", "dataset": {}}}}},
            ["corpus.labelled.tables.kb: a table is read from file or from dataset"],
        ),
        (
            KNOWLEDGE_BASE
            | {"corpus__labelled": {**LABELLED, "tables": {"kb": {**ENTRIES, "dataset": {"name": "a/b"}}}}},
            ["corpus.labelled.tables.kb: dataset.name 'a/b' is on the hub", "pin its revision"],
        ),
        (
            {"synthesize__labelled__per_label": 1},
            ["synthesize.labelled writes queries for labels, which only corpus.source labelled has", "per_label to 0"],
        ),
        (
            KNOWLEDGE_BASE | {"recipes": {"only": {"compositions": ["koenko", "koenen"], "negatives": "window"}}},
            ["recipes.only.compositions has 'koenko', but what corpus.labelled searches is in en"],
        ),
        (
            KNOWLEDGE_BASE | {"negatives__window": {**WINDOW, "direction": "en-ko"}},
            ["negatives.window.direction is 'en-ko', but en is searched: write each"],
        ),
        (
            KNOWLEDGE_BASE | {"negatives__near": {"k": 5, "labels": {"similarity": {"given": 1.0}}}},
            ["negatives.near.labels.similarity names given: set corpus.labelled.similarity"],
        ),
        (
            KNOWLEDGE_BASE | {"negatives__near": {"k": 5, "labels": {"similarity": {"descriptions": 1.0}}}},
            ["negatives.near.labels.similarity names descriptions: add a table of the role labels"],
        ),
        (
            KNOWLEDGE_BASE | {"corpus__labelled": {**LABELLED, "tables": {"kb": PLAIN}}},
            ["corpus.labelled.tables.kb.language is 'fr', which languages does not name: add it"],
        ),
        (
            KNOWLEDGE_BASE | {"corpus__labelled": {**LABELLED, "tables": {"kb": {**ENTRIES, "file": "../kb.jsonl"}}}},
            ["corpus.labelled.tables.kb.file: '../kb.jsonl' is not beneath corpus.path"],
        ),
        (
            KNOWLEDGE_BASE | {"synthesize__labelled__per_label": 1, "synthesize__labelled__language": "fr"},
            ["synthesize.labelled.language is 'fr', which languages does not name: add it"],
        ),
        (
            {"indexes": {"kb": {"model": "models/mixed", "path": "kb", "columns": {"text": "t", "label": "l"}}}},
            ["indexes.kb.model is 'models/mixed', which no stage makes: name one of models/base"],
        ),
        (
            KNOWLEDGE_BASE | {"synthesize__queries__per_passage": 1},
            ["synthesize.queries.per_passage is 1, but corpus.source labelled has queries with a label alone"],
        ),
        (
            KNOWLEDGE_BASE | {"synthesize__translations": {"ko": {"of": "passages", "source": "en", "target": "ko"}}},
            ["synthesize.translations.ko.of is 'passages', which corpus.source labelled has in one language"],
        ),
        ({"synthesize__labelled__path": "kb.jsonl"}, ["unknown key synthesize.labelled.path"]),
        ({"recipes__joint__synthetic": 1.5}, ["recipes.joint.synthetic is 1.5"]),
        ({"triples__positives": 0}, ["triples.positives is 0"]),
        (
            {"base__query_normalizer": {"elongation": True, "script": True}},
            ["base.query_normalizer.spelling is missing"],
        ),
        ({"labels__precision": 90}, ["labels.precision is 90"]),
        (
            {"windows": {"size": 64, "stride": 32, "best": 1}, "candidates__index": {"factory": "Flat"}},
            ["candidates.index searches no passages in windows"],
        ),
        (
            {"windows": {"size": 64, "stride": 32, "best": 1}, "candidates__precision": "float16"},
            ["candidates.precision float16 holds no windows"],
        ),
        (
            {"indexes__kb": {"model": "m", "path": "kb.jsonl", "columns": {"label": "label"}}},
            ["indexes.kb: columns.text is missing"],
        ),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_key(workspace, changes, parts):
    text = message(workspace, **changes)
    for part in parts:
        assert part in text, text


def test_a_knowledge_base_may_have_what_others_may_not(workspace):
    workspace.edit(**KNOWLEDGE_BASE, negatives__near=BY_LABEL, negatives__chance={"k": 5, "random": 5})
    workspace.edit(synthesize__labelled__per_label=3, synthesize__labelled__language="ko")
    found = params.load().negatives
    near, chance = found["near"], found["chance"]
    assert (near.chosen, near.by_rank, near.labels.noise, near.labels.level) == (5, False, 0.0, None)
    assert (chance.chosen, chance.by_rank) == (0, False)
    # Some by ranks, some at random.
    workspace.edit(negatives__window={**WINDOW, "random": 2, "rank_max": 12})
    window = params.load().negatives["window"]
    assert (window.chosen, window.by_rank) == (3, True)


ENGLISH = {"languages": ["en"], "recipes": {"a": {"compositions": ["enenen"], "negatives": "window"}}, "merges": {}}


def test_what_is_written_once_needs_another_language_to_be_translated_into(workspace):
    text = message(workspace, **ENGLISH, synthesize__queries__written="once")
    assert text.endswith("synthesize.queries.written once needs a second language to translate into: write each")
    workspace.edit(synthesize__queries__written="each")
    assert params.load().languages == ["en"]


def test_translations_may_build_on_those_before_them(workspace):
    three = {"languages": ["en", "ko", "de"], "corpus__languages": ["ko"], "recipes": {}, "merges": {}}
    three["recipes"] = {"a": {"compositions": ["enenen"], "negatives": "window"}}
    first = {"of": "passages", "source": "ko", "target": "en"}
    second = {"of": "passages", "source": "en", "target": "de"}
    third = {"of": "queries", "source": "de", "target": "hi-Latn"}
    fourth = {"of": "queries", "source": "hi-Latn", "target": "hi"}
    workspace.edit(**three, synthesize__translations={"a": first, "b": second, "c": third, "d": fourth})
    assert list(params.load().synthesize.translations) == ["a", "b", "c", "d"]
    text = message(workspace, synthesize__translations={"b": second, "a": first})
    assert "synthesize.translations.b.source is 'en'" in text
    text = message(workspace, synthesize__translations={"a": first, "b": second, "d": fourth, "c": third})
    assert "synthesize.translations.d.source is 'hi-Latn'" in text


def test_a_collection_may_be_written_alone_and_a_bound_on_its_cost_be_set(workspace):
    workspace.edit(corpus__source="none", synthesize__topics__per_topic=1)
    workspace.edit(llm__max_cost_usd=5.0, llm__prices=PRICES, llm__parameters={"max_completion_tokens": 900})
    found = params.load()
    assert found.corpus.source == "none"
    assert found.llm.longest_reply == 900


def test_two_mistakes_are_two_sentences(workspace):
    with pytest.raises(UserError) as caught:
        workspace.edit(sead=1, train__steps=0) and params.load()
    assert len(str(caught.value).splitlines()) == 2


def test_recipes_of_unequal_numbers_of_negatives_do_not_compare(workspace):
    text = message(
        workspace,
        negatives__few={**WINDOW, "k": 2},
        recipes__joint={"compositions": ["enenen"], "negatives": "few"},
    )
    assert "differ in k" in text


def test_a_strategy_that_no_recipe_uses_may_have_another_k(workspace):
    workspace.edit(negatives__few={**WINDOW, "k": 2})
    assert params.load().negatives["few"].k == 2


def test_first_stages_are_models_references_and_fusions(workspace):
    firsts = ["data/runs/base", "data/runs/joint", "data/runs/avg-four", "data/runs/bm25", "data/fused/both"]
    rows = {f"r{number}": {**ROW, "first_stage": first} for number, first in enumerate(firsts)}
    workspace.edit(**RERANKED, fusions={"both": {"of": ["bm25", "base"]}}, rerank=rows)
    assert [row.first_row for row in params.load().rerank.values()] == ["base", "joint", "avg-four", "bm25", "both"]


def test_hyphens_may_part_a_composition(workspace):
    workspace.edit(recipes__joint={"compositions": ["en-ko-ko"], "negatives": "window"})
    assert params.load().recipes["joint"].compositions == ["en-ko-ko"]


def test_files_that_cannot_be_read(workspace):
    workspace.params.write_bytes(b"seed: \xff")
    with pytest.raises(UserError, match="not UTF-8"):
        params.load()
    workspace.params.write_text("seed: 1\nseed: 2\n")
    with pytest.raises(UserError, match="line 2 is not YAML: the key 'seed' stands twice"):
        params.load()
    workspace.params.write_text("- 1\n")
    with pytest.raises(UserError, match="the file must hold a group of keys"):
        params.load()
    workspace.params.unlink()
    with pytest.raises(UserError, match="run from the repository's root"):
        params.load()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"base__pooling": "cls"}, "base.pooling does not apply to base.name static: write null"),
        ({"train__mini_batch_size": 8}, "train.mini_batch_size cannot split a static base's batches: write null"),
        ({"train__mini_batch_tokens": 8}, "train.mini_batch_tokens cannot split a static base's batches: write null"),
        (
            {"train__max_length": 64},
            "train.max_length does not apply to a static base, which reads texts of any length",
        ),
        ({"teacher__pooling": "cls"}, "teacher.pooling does not apply to teacher.name base: write null"),
        ({"base__preset": "BAAI/bge"}, "base.preset is 'BAAI/bge': write null or one of BAAI/bge-m3, "),
        (
            {"benchmarks__dev__path": "data/corpus"},
            "benchmarks.dev.path is 'data/corpus', but held-out reads data/collected",
        ),
    ],
)
def test_what_does_not_apply_is_told_before_any_work(workspace, changes, sentence):
    assert message(workspace, **changes).startswith(f"params.yaml: {sentence}")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"recipes__joint__hybrid": 0.25},
            "recipes.joint.hybrid is now batches, {scheme: hybrid, alpha: 0.5} for 0.5: write that",
        ),
        ({"base__normalize": None}, "base.normalize is now base.query_normalizer: rename it"),
        ({"corpus__queries": "held-out-lead"}, "corpus.queries held-out-lead is now inverse-cloze: write that"),
    ],
)
def test_an_old_name_is_told_the_new_one(workspace, changes, sentence):
    assert message(workspace, **changes) == f"params.yaml: {sentence}"


def test_the_stage_writes_a_constant(workspace):
    """Or later stages would run again with every change of params.yaml."""
    workspace.run("check")
    first = (workspace.path / "data/checked").read_bytes()
    workspace.edit(seed=2, train__steps=61)
    workspace.run("check")
    assert (workspace.path / "data/checked").read_bytes() == first
    (workspace.path / "data/checked").unlink()
    with pytest.raises(UserError, match=r"unknown key train\.stepz"):
        workspace.edit(train__stepz=1).run("check")
    assert not (workspace.path / "data/checked").exists()


def test_every_group_is_written_in_the_default():
    tree = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert list(tree) == list(params.Params.model_fields)
