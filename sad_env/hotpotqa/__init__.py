"""HotPotQA: questions that are answered by reading an encyclopedia, as ReAct plays them.

    env = sad_env.make("hotpotqa")                                           generated, no download
    env = sad_env.make("hotpotqa", data="official", split="react-500")       ReAct's 500 questions, pool of paragraphs
    env = sad_env.make("hotpotqa", data="official", source="live")           the same on today's Wikipedia

`engine` holds ReAct's rules (ysymyth/ReAct, wikienv.py and wrappers.py) and replays recordings of the original without
difference; the world around it (`env`) adds the turn limit of ReAct's loop. We differ only where the original crashes
or misbehaves:

- a paragraph whose backslashes cannot be decoded stays as it came and is counted (``info["damaged"]``);
- the address of a live search escapes what the agent wrote, so that ``search[AT&T]`` asks for "AT&T" and not for "AT";
- a wiki that answers every search with a disambiguation page is asked three times;
- live requests say who they are, time out, are repeated on 429 and 5xx, and are kept on disk with their dates.

Without a network a search takes the exact title, then the title without case and punctuation (redirects are titles),
and otherwise names the five best titles by Lucene's BM25 over titles and texts, namesakes first. A name in brackets
asks for titles only, as at Wikipedia.
"""

from sad_env.hotpotqa.actions import canonical_action

__all__ = ["canonical_action"]
