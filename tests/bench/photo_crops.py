"""Crops of photographs as latents files, one to train on and one of other photographs to validate on.

    photo_crops.py FOLDER TRAIN.h5 HELD_OUT.h5 [--train 800000] [--held-out 4000] [--seed 1] [--size 16]

What a scaling law is measured on where the procedural set will not do: pictures of which nobody knows all. FOLDER is searched for
JPEG, PNG and WebP files of 800 x 600 pixels or more that are wider than high; Debian's packages of wallpapers hold a hundred
(docs/method.md, "Loss against compute", has the commands). Every fifth, in the order of SHA-256 of its bytes, is held out, so that
no crop of a photograph that is trained on is ever validated on; of pictures that look alike (another size of the same, or in other
colours) the first stands for all.

A crop is `size` x `size` pixels of a photograph that was scaled down, by area, to a height of 540, 270 or 135 pixels: its label, 0 to
2. Places are uniform, photographs and scales are taken in turn; a crop whose three channels are flat (a deviation below 2 of 255) is
drawn again, up to 20 times. Channels are red, green and blue, less their mean over the crops to train on, in units of their standard
deviation. /latents (N, 3, size, size) float32, /labels (N) int32, root attribute `photographs`.

Needs numpy, h5py and Pillow. The same folder and seed give the same files.
"""
import argparse
import hashlib
import pathlib
import sys

import h5py
import numpy
from PIL import Image

HEIGHTS = (540, 270, 135)  # pixels; of label 0, 1, 2
ALIKE = 0.97               # correlation of two pictures' 16 x 16 grey thumbnails from which they are one
FLATTEST = 2.0             # of 255: standard deviation over a crop below which it is drawn again
REDRAWS = 20


def photographs(folder):
    """Per photograph its versions by scale, arrays (height, width, 3) of uint8; in the order of their bytes' SHA-256."""
    files = {}
    for file in sorted(pathlib.Path(folder).rglob("*")):
        if file.is_file() and not file.is_symlink() and file.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"):
            files.setdefault(hashlib.sha256(file.read_bytes()).hexdigest(), file)
    seen = []
    for _, file in sorted(files.items()):
        with Image.open(file) as picture:
            if picture.width < 800 or picture.height < 600 or picture.width < picture.height:
                continue
            picture.draft("RGB", (HEIGHTS[0] * picture.width // picture.height, HEIGHTS[0]))  # JPEG: decodes at a half or a quarter
            picture = picture.convert("RGB")
            thumbnail = numpy.asarray(picture.convert("L").resize((16, 16), Image.Resampling.BOX), float).ravel()
            if thumbnail.std() < FLATTEST or any(abs(numpy.corrcoef(thumbnail, other)[0, 1]) > ALIKE for other in seen):
                continue
            seen.append(thumbnail)
            yield file, [numpy.asarray(picture.resize((max(1, round(picture.width * height / picture.height)), height), Image.Resampling.BOX))
                         for height in HEIGHTS]


def crops(photos, count, size, generator):
    latents, labels = numpy.empty((count, size, size, 3), numpy.uint8), numpy.empty(count, numpy.int32)
    for i in range(count):
        labels[i] = i // len(photos) % len(HEIGHTS)
        photo = photos[i % len(photos)][labels[i]]
        for _ in range(REDRAWS):
            top, left = (generator.integers(extent - size + 1) for extent in photo.shape[:2])
            latents[i] = photo[top:top + size, left:left + size]
            if latents[i].std(axis=(0, 1)).max() >= FLATTEST:
                break
    order = generator.permutation(count)
    return latents[order], labels[order]


def write(path, latents, labels, mean, deviation, names):
    with h5py.File(path, "w") as file:
        out = file.create_dataset("latents", (len(latents), 3) + latents.shape[1:3], "float32")  # not in chunks: samples are read one by one
        for first in range(0, len(latents), 4096):
            part = (latents[first:first + 4096].astype(numpy.float32) - mean) / deviation
            out[first:first + 4096] = part.transpose(0, 3, 1, 2)
        file["labels"] = labels
        file.attrs["photographs"] = names


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("train")
    parser.add_argument("held_out")
    parser.add_argument("--train", dest="train_count", type=int, default=800000)
    parser.add_argument("--held-out", dest="held_out_count", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=16)
    options = parser.parse_args()
    found = list(photographs(options.folder))
    held_out, train = found[::5], [photo for i, photo in enumerate(found) if i % 5]
    if not train:
        sys.exit(f"photo_crops.py: {options.folder} has {len(found)} photographs of 800 x 600 pixels or more; two are wanted at least")
    generator = numpy.random.default_rng(options.seed)
    latents, labels = crops([versions for _, versions in train], options.train_count, options.size, generator)
    mean = latents.mean(axis=(0, 1, 2), dtype=numpy.float64)
    deviation = latents.std(axis=(0, 1, 2), dtype=numpy.float64)
    write(options.train, latents, labels, mean, deviation, [file.name for file, _ in train])
    write(options.held_out, *crops([versions for _, versions in held_out], options.held_out_count, options.size, generator),
          mean, deviation, [file.name for file, _ in held_out])
    print(f"{len(train)} photographs to train on, {len(held_out)} held out; channels' mean {mean.round(1)}, deviation {deviation.round(1)} of 255")


if __name__ == "__main__":
    main()
