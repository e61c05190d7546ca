"""The other side of train.py's C13: from the start of Python to the first batch of a DataLoader in this process. Prints "ready"
when 128 images are drawn, cropped by 4, flipped and normalised.

    first_batch_peer.py make FILE 50000     writes the file: so many random images of 32x32x3, as NumPy does
    first_batch_peer.py torch FILE          transforms are tensor operations; needs nothing but PyTorch
    first_batch_peer.py torchvision FILE    torchvision's Compose on PIL images
"""

import sys

import numpy as np

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


def tensor_transform():
    import torch
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))

    def transform(image):
        image = torch.nn.functional.pad(torch.from_numpy(image.copy()).permute(2, 0, 1), (4, 4, 4, 4))
        top, left, flip = (int(torch.randint(n, ())) for n in (9, 9, 2))
        image = image[:, top:top + 32, left:left + 32]
        return ((image.flip(2) if flip else image).float() / 255 - mean) / std
    return transform


def compose():
    import torchvision.transforms as T
    from PIL import Image
    transform = T.Compose([T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(MEAN, STD)])
    return lambda image: transform(Image.fromarray(image))


def first_batch(transform, path):
    import torch
    torch.set_num_threads(1)

    class Images(torch.utils.data.Dataset):
        def __init__(self):
            self.images = np.load(path, mmap_mode="r")

        def __len__(self):
            return len(self.images)

        def __getitem__(self, i):
            return transform(np.asarray(self.images[i])), 0

    images, _ = next(iter(torch.utils.data.DataLoader(Images(), 128, shuffle=True)))
    assert images.shape == (128, 3, 32, 32)
    print("ready", flush=True)


def main():
    what, path = sys.argv[1:3]
    if what == "make":
        np.save(path, np.random.default_rng(1).integers(0, 256, (int(sys.argv[3]), 32, 32, 3), dtype=np.uint8))
    else:
        first_batch({"torch": tensor_transform, "torchvision": compose}[what](), path)


if __name__ == "__main__":
    main()
