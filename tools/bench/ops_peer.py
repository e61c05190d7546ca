"""The other side of tools/bench/ops.py: the same work with the public interfaces of PyTorch and torchvision, as their users
write it. Reads names of cases, a line each, and answers each with units of work a second; see tools/bench/turn.h. Its
argument is the folder that --make_photos has filled."""

import os
import sys

import numpy as np
import torch
import torchvision.transforms as T
import torchvision.transforms.v2 as V2
from PIL import Image
from torchvision.io import decode_jpeg
from turns import sgemm, take_turns, timed

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
IMAGES, BATCH = 50000, 128


def random_images():
    return np.random.default_rng(1).integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8)


class Cutout:
    """Zeroes a square around a random pixel of a tensor [C,H,W]."""

    def __init__(self, size):
        self.half = size // 2

    def __call__(self, image):
        y, x = (int(torch.randint(n, ())) for n in image.shape[1:])
        image[:, max(y - self.half, 0):y + self.half, max(x - self.half, 0):x + self.half] = 0
        return image


class ImageDataset(torch.utils.data.Dataset):
    def __init__(self, images, transform):
        self.images, self.transform = images, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.transform(Image.fromarray(self.images[i])), 0


def data_loader(transforms, workers, images):
    """torchvision's Compose a sample, within a DataLoader."""
    torch.set_num_threads(1)
    dataset = ImageDataset(random_images()[:images], T.Compose(transforms))
    loader = torch.utils.data.DataLoader(dataset, BATCH, shuffle=True, num_workers=workers)

    def run():
        def work():
            for _ in loader:
                pass
        return timed(images, work)
    return run


def batched_loader():
    """The whole set as one normalised, padded tensor; shifts of up to 4 by masks over the batch, then flips, as the
    fastest CIFAR-10 trainings do on a GPU (KellerJordan/cifar10-airbench describes it)."""
    torch.set_num_threads(1)
    images = torch.from_numpy(random_images()).permute(0, 3, 1, 2).float() / 255
    images = (images - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    images = images.contiguous()
    padded = torch.nn.functional.pad(images, (4,) * 4, "reflect")

    def crop(batch):
        shifts = torch.randint(-4, 5, (len(batch), 2))
        rows = torch.empty(len(batch), 3, 32, 40)
        for s in range(-4, 5):
            mask = shifts[:, 0] == s
            rows[mask] = batch[mask, :, 4 + s:36 + s, :]
        out = torch.empty(len(batch), 3, 32, 32)
        for s in range(-4, 5):
            mask = shifts[:, 1] == s
            out[mask] = rows[mask, :, :, 4 + s:36 + s]
        return out

    def run():
        def work():
            order = torch.randperm(IMAGES)
            for i in range(0, IMAGES, BATCH):
                batch = crop(padded[order[i:i + BATCH]])
                flip = (torch.rand(len(batch)) < 0.5).view(-1, 1, 1, 1)
                torch.where(flip, batch.flip(-1), batch)
        return timed(IMAGES, work)
    return run


PHOTOS = 256
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def make_photos(folder):
    """photos.u8, [256,375,500,3] without a header, and 0.jpg .. 255.jpg of quality 90: large patches of colour, with grain."""
    random = np.random.default_rng(2)
    with open(os.path.join(folder, "photos.u8"), "wb") as file:
        for i in range(PHOTOS):
            patches = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((500, 375), Image.BICUBIC)
            pixels = np.clip(np.asarray(patches) + random.normal(0, 6, (375, 500, 3)), 0, 255).astype(np.uint8)
            file.write(pixels.tobytes())
            Image.fromarray(pixels).save(os.path.join(folder, f"{i}.jpg"), quality=90)


def photos(folder):
    return np.fromfile(os.path.join(folder, "photos.u8"), dtype=np.uint8).reshape(PHOTOS, 375, 500, 3)


def photo_pass(images, transform):
    """One sample after the other, stacked in batches of 32."""
    torch.set_num_threads(1)

    def run():
        def work():
            for i in range(0, PHOTOS, 32):
                torch.stack([transform(image) for image in images[i:i + 32]])
        return timed(PHOTOS, work)
    return run


def v2_pipeline():
    return V2.Compose([V2.RandomResizedCrop(224, antialias=True), V2.RandomHorizontalFlip(),
                       V2.ToDtype(torch.float32, scale=True), V2.Normalize(*IMAGENET)])


def photo_pil(folder):
    transform = T.Compose([T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(*IMAGENET)])
    return photo_pass([Image.fromarray(image) for image in photos(folder)], transform)


def photo_v2(folder):
    return photo_pass([torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in photos(folder)], v2_pipeline())


def jpeg_v2(folder):
    files = [torch.frombuffer(bytearray(open(os.path.join(folder, f"{i}.jpg"), "rb").read()), dtype=torch.uint8)
             for i in range(PHOTOS)]
    pipeline = v2_pipeline()
    return photo_pass(files, lambda file: pipeline(decode_jpeg(file)))


def crop_flip(*more):
    return [T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), *more, T.ToTensor(), T.Normalize(MEAN, STD)]


def calls(prepare, step, count):
    """`count` calls of a loss, forward and backward by the student's tensor."""
    torch.set_num_threads(1)
    student, *others = prepare()

    def run():
        def work():
            for _ in range(count):
                student.grad = None
                step(student, *others).backward()
        return timed(count, work)
    return run


def attention_map(features):
    return torch.nn.functional.normalize(features.pow(2).mean(1).flatten(1))


def attention_transfer(shape, channels_last):
    """The formula of Zagoruyko & Komodakis 2017, as their code has it."""
    def prepare():
        layout = torch.channels_last if channels_last else torch.contiguous_format
        torch.manual_seed(1)
        return (torch.randn(shape).contiguous(memory_format=layout).requires_grad_(),
                torch.randn(shape).contiguous(memory_format=layout))
    return calls(prepare, lambda s, t: (attention_map(s) - attention_map(t)).pow(2).mean(), 40)


def cross_entropy_kl(classes):
    def prepare():
        torch.manual_seed(1)
        return (torch.randn(128, classes).requires_grad_(), torch.randn(128, classes), torch.randint(classes, (128,)))

    def step(student, teacher, labels):
        f, t = torch.nn.functional, 4.0
        soft = f.kl_div(f.log_softmax(student / t, 1), f.softmax(teacher / t, 1), reduction="batchmean")
        return 0.1 * f.cross_entropy(student, labels) + 0.9 * t * t * soft
    return calls(prepare, step, 500)


MAPS = {"a": (128, 64, 16, 16), "b": (128, 16, 32, 32), "c": (64, 256, 14, 14)}
CASES = {
    "torchvision": lambda: data_loader(crop_flip() + [Cutout(8)], 0, 6000),
    "torchvision_2_workers": lambda: data_loader(crop_flip() + [Cutout(8)], 2, 12000),
    "torchvision_auto": lambda: data_loader(
        [T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), T.AutoAugment(T.AutoAugmentPolicy.CIFAR10), T.ToTensor(),
         T.Normalize(MEAN, STD)], 0, 3000),
    "batched": batched_loader,
    **{f"attention_{name}_{layout}": lambda shape=shape, layout=layout: attention_transfer(shape, layout == "cl")
       for name, shape in MAPS.items() for layout in ("nchw", "cl")},
    **{f"ce_kl_{classes}": lambda classes=classes: cross_entropy_kl(classes) for classes in (10, 100, 1000)},
    "photo_pil": lambda: photo_pil(sys.argv[1]),
    "photo_v2": lambda: photo_v2(sys.argv[1]),
    "jpeg_v2": lambda: jpeg_v2(sys.argv[1]),
    "sgemm": sgemm,
}


def main():
    if sys.argv[1] == "--make_photos":
        make_photos(sys.argv[2])
        return
    take_turns(CASES)


if __name__ == "__main__":
    main()
