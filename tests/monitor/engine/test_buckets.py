import torch

from monitor.engine.buckets import BUCKETS, bucket_of, in_buckets


def test_every_count_fits_the_smallest_bucket() -> None:
    for count in range(1, BUCKETS[-1] + 1):
        bucket = bucket_of(count)
        assert bucket in BUCKETS and bucket >= count
        assert all(smaller < count for smaller in BUCKETS if smaller < bucket)


def test_frames_come_back_in_order_and_the_padding_does_not() -> None:
    seen: list[int] = []

    def double(frames: torch.Tensor) -> torch.Tensor:
        seen.append(len(frames))
        return 2.0 * frames

    for count in (1, 3, 16, 21, 40):
        frames = torch.arange(float(count))[:, None, None, None].expand(count, 1, 4, 4).contiguous()
        assert torch.equal(in_buckets(double, frames), 2.0 * frames)
    assert seen == [1, 4, 16, 16, 8, 16, 16, 8]
    assert set(seen) <= set(BUCKETS)
