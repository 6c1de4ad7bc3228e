"""The losses alone: your encoders, your DataLoader, your loop. No folder, no command, no config."""

import torch
from torch.utils.data import DataLoader, TensorDataset

import avssl
from avssl.functional import effective_rank
from avssl.objectives import AVID, ER


def main() -> None:
    # Toy data: what is seen and what is heard are two looks at the same hidden thing.
    torch.manual_seed(0)
    hidden = torch.randn(256, 16)
    seen, heard = hidden @ torch.randn(16, 512), hidden @ torch.randn(16, 128)
    loader = DataLoader(TensorDataset(torch.arange(256), seen, heard), batch_size=64, shuffle=True)
    see, hear = torch.nn.Linear(512, 64), torch.nn.Linear(128, 64)

    # One loss compares the rows of a batch, the other remembers every instance: it is told which ones a batch holds.
    er = ER(kappa=10.0)
    avid = AVID(None, ["video", "audio"], dim=64, num_instances=256, loss="softmax")
    optimizer = torch.optim.Adam([*see.parameters(), *hear.parameters(), *er.parameters(), *avid.parameters()])
    for epoch in range(10):
        for rows, x, y in loader:
            video, audio = see(x), hear(y)
            loss = er(video, audio) + avid(avssl.Batch(rows, {"video": video, "audio": audio})).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: loss {loss:.2f}")
    print(f"directions in use: {effective_rank(see(seen)):.1f} of 64")


if __name__ == "__main__":
    main()
