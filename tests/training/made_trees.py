"""Small folders laid out as the real data sets are. (No conftest: two folders have one.)"""

import csv
import pickle

import numpy as np
import pandas as pd
import torch

MELD_HEADER = [
    "Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season",
    "Episode", "StartTime", "EndTime",
]  # fmt: skip

# split: utterance, speaker, emotion, sentiment, dialogue, utterance id, season, episode, start, end
MELD_ROWS = {
    "train": [
        ("Oh, my God!", "Ross", "surprise", "negative", 0, 0, 4, 7, "00:20:57,256", "00:21:00,049"),
        ("Hey!", "Joey", "joy", "positive", 0, 1, 4, 7, "00:21:01,927", "00:21:03,261"),
        ("You don’t say…", "Joey", "neutral", "neutral", 125, 3, 2, 1, "00:01:00,000", "00:01:02,000"),
        ("Wait for me!", "Chandler", "fear", "negative", 309, 0, 2, 2, "00:20:00,000", "00:20:41,040"),
    ],
    "dev": [
        ("  hey! ", "Monica", "joy", "positive", 0, 0, 4, 7, "00:05:00,000", "00:05:01,000"),
        ("Gross.", "Joey", "disgust", "negative", 110, 7, 5, 1, "00:06:00,000", "00:06:01,500"),
    ],
    "test": [
        ("HEY", "Mark", "anger", "negative", 0, 0, 3, 19, "00:14:38,127", "00:14:40,378"),
        ("Oh, my God!", "Ross", "surprise", "negative", 0, 1, 4, 7, "00:20:57,256", "00:21:00,049"),
        ("Why?", "Rachel", "sadness", "negative", 38, 4, 3, 2, "0:12:32,632", "0:17:37,572"),
        ("No.", "Rachel", "neutral", "neutral", 155, 3, 3, 2, "0:12:32,632", "0:12:32,632"),
    ],
}  # fmt: skip


def write_meld_tables(folder, rows=MELD_ROWS):
    folder.mkdir(parents=True, exist_ok=True)
    for split, of_split in rows.items():
        with (folder / f"{split}_sent_emo.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(MELD_HEADER)
            writer.writerows((number, *row) for number, row in enumerate(of_split, start=1))
    return folder


def touch(path, content=b"a clip"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def write_meld_release(
    folder, *, nesting=("train_splits", "dev_splits_complete", "output_repeated_splits_test")
):
    """As `MELD.Raw` unpacks: dev's dia110_utt7 is missing, train's dia125_utt3 broken, there are extras."""
    write_meld_tables(folder)
    clips = zip(("train", "dev", "test"), nesting, strict=True)
    for split, name in clips:
        for row in MELD_ROWS[split]:
            if (split, *row[4:6]) != ("dev", 110, 7):
                touch(folder / name / f"dia{row[4]}_utt{row[5]}.mp4")
    train, dev, test = (folder / name for name in nesting)
    touch(dev / "dia66_utt9.mp4")
    touch(test / "final_videos_testdia101_utt0.mp4")
    touch(test / "._dia0_utt0.mp4")
    touch(folder / "README.txt")
    return folder


IEMOCAP_TURNS = [
    ("F000", "neu", 6.2901, 8.2357, "Excuse me."),
    ("M000", "ang", 10.01, 11.39, "What?"),
    ("F001", "hap", 14.0, 15.5, "Well, thanks [LAUGHTER]."),
    ("M001", "exc", 16.0, 17.5, "Great!"),
    ("F002", "fru", 18.0, 19.0, "No."),
    ("M002", "sad", 20.0, 21.0, "Oh."),
    ("M003", "xxx", 22.0, 23.0, "Hm."),
    ("F003", "sur", 24.0, 25.0, "Oh!"),
    ("FXX0", "neu", 26.0, 27.0, "Aside."),
]


def write_iemocap(folder, *, num_sessions=5, dialogues=("impro01", "script01_1"), films=True, sounds=True):
    """As `IEMOCAP_full_release` unpacks; in each session one dialogue is named after each actor."""
    for session in range(1, num_sessions + 1):
        root = folder / f"Session{session}"
        for dialogue in (f"Ses{session:02d}{sex}_{name}" for sex in "FM" for name in dialogues):
            labels, words = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"], []
            for turn, code, start, end, text in IEMOCAP_TURNS:
                key = f"{dialogue}_{turn}"
                labels.append(
                    f"[{start:.4f} - {end:.4f}]\t{key}\t{code}\t[2.5000, 3.5000, 1.5000]\n"
                    "C-E1:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n"
                )
                words.append(f"{key} [{start:08.4f}-{end:08.4f}]: {text}\n")
                if sounds:
                    touch(root / "sentences" / "wav" / dialogue / f"{key}.wav")
            words.append("M: a line of another form\n")
            touch(root / "dialog" / "EmoEvaluation" / f"{dialogue}.txt", "".join(labels).encode())
            touch(root / "dialog" / "EmoEvaluation" / f"._{dialogue}.txt")
            touch(root / "dialog" / "transcriptions" / f"{dialogue}.txt", "".join(words).encode())
            if films:
                touch(root / "dialog" / "avi" / "DivX" / f"{dialogue}.avi")
    return folder


def write_authors_meld(folder, *, images=None):
    """As the authors' `data/MELD`: an index per part, a pickle per utterance and modality."""
    for part, label in (("train", 0), ("valid", 4), ("test", 6)):
        emotion = ("neutral", "", "", "", "joy", "", "anger")[label]
        row = ("Hey!", "Joey", emotion, "x", 3, 1, 1, 1, "00:00:01,000", "00:00:02,000")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{part}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([MELD_HEADER, (1, *row)])
        if images is None:
            images = np.full((15, 3, 8, 8), 7, np.uint8)
        content = {
            "video": {"images": torch.from_numpy(images)},
            "text": {"text_feature": torch.arange(4.0), "label": label},
            "audio": {"audio_feature": np.arange(3, dtype=np.float32)},
        }
        for modality, values in content.items():
            touch(folder / part / modality / "dia3_utt1.pkl", pickle.dumps(values))
    return folder


def pixels(value):
    return " ".join([str(value)] * 48 * 48)


def write_challenge(folder, rows, header=("emotion", "pixels", "Usage")):
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=list(header)).to_csv(folder / "fer2013.csv", index=False)
    return folder


# as FER2013's `fer2013.csv`: emotion, pixels, usage
CHALLENGE = [
    (0, pixels(10), "Training"),
    (3, pixels(20), "Training"),
    (6, pixels(30), "PublicTest"),
    (1, pixels(40), "PrivateTest"),
]
