"""derive_azure_traces.py FOLDER: makes the traces in this folder from the Azure LLM inference traces of 2023.

Source: "AzureLLMInferenceDataset2023", https://github.com/Azure/AzurePublicDataset, (c) Microsoft, CC-BY 4.0: an hour
of requests for conversation (AzureLLMInferenceTrace_conv.csv) and for coding (.._code.csv), each with its time and
its tokens. Changes, so that one device at home can run it:

- one request in `keep_one_in` is kept, chosen by a hash of its number, and the times are stretched by `time_factor`: the
  hour becomes four hours of a household (azure), or eight of a quiet one (azure_quiet);
- tokens become seconds of the device by the speeds below;
- a conversation is written to chat, shown to vision, or spoken (stt, then chat, then tts, one after the other);
  code goes to coder, every eighth request after a look-up in embed;
- twenty users share the requests by the same hash.
"""
import csv
import datetime
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
PREFILL, CHAT, CODER, VISION, SPEECH = 1500, 45, 35, 60, 15  # tokens per second; SPEECH: spoken tokens per second


def splitmix64(number):
    """The hash splitmix64, so that the choice is the same on every machine."""
    z = (number * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & (2**64 - 1)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return z ^ (z >> 31)


def read(path, salt):
    with open(path, newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            moment = datetime.datetime.fromisoformat(row["TIMESTAMP"][:26])
            yield moment, int(row["ContextTokens"]), int(row["GeneratedTokens"]), splitmix64(number * 2 + salt)


def rows(moment, kind, context, generated, random_bits):
    user = f"u{random_bits // 1000 % 20}"
    prefill = context / PREFILL
    flow = f"f{random_bits % 10**8}"
    if kind == "code":
        work = ("coder", prefill + generated / CODER)
        if random_bits % 8 == 0:
            return [(moment, "embed", 0.3, user, flow), (0.05, *work, user, flow)]
        return [(moment, *work, user, "")]
    request_kind = random_bits % 10
    if request_kind < 5:
        return [(moment, "chat", prefill + generated / CHAT, user, "")]
    if request_kind < 7:
        return [(moment, "vision", 0.5 + prefill + generated / VISION, user, "")]
    return [(moment, "stt", 0.5, user, flow), (0.05, "chat", prefill + generated / CHAT, user, flow),
            (0.05, "tts", min(6, generated / SPEECH / 4), user, flow)]


def derive(folder, name, keep_one_in, time_factor):
    wanted = [(*request, kind) for kind, salt in (("conv", 0), ("code", 1))
              for request in read(folder / f"AzureLLMInferenceTrace_{kind}.csv", salt) if request[3] // 7 % keep_one_in == 0]
    wanted.sort(key=lambda request: request[0])
    first = wanted[0][0]
    with open(HERE / f"{name}.csv", "w") as out:
        out.write("# Derived from the Azure LLM inference traces 2023 (Microsoft, CC-BY 4.0) by derive_azure_traces.py.\n")
        out.write("time,consumer,seconds,user,flow\n")
        for moment, context, generated, random_bits, kind in wanted:
            at = (moment - first).total_seconds() * time_factor
            for time, consumer, seconds, user, flow in rows(at, kind, context, generated, random_bits):
                out.write(f"{time:.2f},{consumer},{seconds:.2f},{user},{flow}\n")


if __name__ == "__main__":
    derive(pathlib.Path(sys.argv[1]), "azure", keep_one_in=28, time_factor=4)
    derive(pathlib.Path(sys.argv[1]), "azure_quiet", keep_one_in=80, time_factor=8)
