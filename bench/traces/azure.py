"""azure.py FOLDER: makes the traces beside it from the Azure LLM inference traces of 2023.

Source: "AzureLLMInferenceDataset2023", https://github.com/Azure/AzurePublicDataset, (c) Microsoft, CC-BY 4.0: an hour
of requests for conversation (AzureLLMInferenceTrace_conv.csv) and for coding (.._code.csv), each with its time and
its tokens. What is changed here, so that one device at home can have it:

- one request in KEEP stays, chosen by a hash of its number, and time passes four times as slowly: the hour's ups and
  downs become four hours of a household (azure), or eight of a quiet one (azure_quiet);
- tokens become seconds of the device by the speeds below;
- a conversation is written to chat, shown to vision, or spoken (stt, then chat, then tts, one after the other);
  code goes to coder, every eighth after a look-up in embed;
- twenty users share the requests by the same hash.
"""
import csv
import datetime
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
PREFILL, CHAT, CODER, VISION, SPEECH = 1500, 45, 35, 60, 15  # tokens a second; of speech: tokens spoken a second


def mixed(number):
    """splitmix64, so that the choice is the same everywhere."""
    z = (number * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & (2**64 - 1)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return z ^ (z >> 31)


def read(path, salt):
    with open(path, newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            moment = datetime.datetime.fromisoformat(row["TIMESTAMP"][:26])
            yield moment, int(row["ContextTokens"]), int(row["GeneratedTokens"]), mixed(number * 2 + salt)


def rows(moment, kind, context, generated, luck):
    user = f"u{luck // 1000 % 20}"
    think = context / PREFILL
    flow = f"f{luck % 10**8}"
    if kind == "code":
        work = ("coder", think + generated / CODER)
        return [(moment, "embed", 0.3, user, flow), (0.05, *work, user, flow)] if luck % 8 == 0 else [(moment, *work, user, "")]
    way = luck % 10
    if way < 5:
        return [(moment, "chat", think + generated / CHAT, user, "")]
    if way < 7:
        return [(moment, "vision", 0.5 + think + generated / VISION, user, "")]
    return [(moment, "stt", 0.5, user, flow), (0.05, "chat", think + generated / CHAT, user, flow),
            (0.05, "tts", min(6, generated / SPEECH / 4), user, flow)]


def derive(folder, name, keep, slower):
    wanted = [(*request, kind) for kind, salt in (("conv", 0), ("code", 1))
              for request in read(folder / f"AzureLLMInferenceTrace_{kind}.csv", salt) if request[3] // 7 % keep == 0]
    wanted.sort(key=lambda request: request[0])
    first = wanted[0][0]
    with open(HERE / f"{name}.csv", "w") as out:
        out.write("# Derived from the Azure LLM inference traces 2023 (Microsoft, CC-BY 4.0) by azure.py, which says how.\n")
        out.write("time,consumer,seconds,user,flow\n")
        for moment, context, generated, luck, kind in wanted:
            at = (moment - first).total_seconds() * slower
            for time, consumer, seconds, user, flow in rows(at, kind, context, generated, luck):
                out.write(f"{time:.2f},{consumer},{seconds:.2f},{user},{flow}\n")


if __name__ == "__main__":
    derive(pathlib.Path(sys.argv[1]), "azure", keep=28, slower=4)
    derive(pathlib.Path(sys.argv[1]), "azure_quiet", keep=80, slower=8)
