"""Models from scratch: their sizes, and the heads that copy before any training."""

import pytest
import torch
from sad_distill.models.nano import SIZES, from_scratch
from sad_distill.models.tokenizer import train_tokenizer

from sad_env.errors import UnknownNameError


@pytest.fixture(scope="module")
def tokenizer():
    words = (f"{letter}{other}{number}" for letter in "abcdefghij" for other in "klmnopqrst" for number in range(40))
    return train_tokenizer(list(words), 2048)


def attention_of(name, tokenizer, ids):
    """Attention [rows, heads, queries, keys] of each layer, and logits."""
    model = from_scratch(name, tokenizer)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        answer = model(ids, output_attentions=True)
    return answer.attentions, answer.logits


@pytest.mark.parametrize("name", SIZES)
def test_heads_of_the_first_layer_look_at_the_tokens_before(name, tokenizer):
    ids = torch.randint(5, len(tokenizer), (2, 200), generator=torch.Generator().manual_seed(0))
    first = attention_of(name, tokenizer, ids)[0][0]
    for head in (0, 1):
        back = torch.diagonal(first[:, head], offset=-(head + 1), dim1=1, dim2=2)
        assert back.min() > 0.8, f"head {head} strays"


@pytest.mark.parametrize("name", SIZES)
def test_the_last_head_of_the_second_layer_finds_what_followed_before(name, tokenizer):
    period = 60
    once = torch.randint(5, len(tokenizer), (4, period), generator=torch.Generator().manual_seed(1))
    attention, logits = attention_of(name, tokenizer, torch.cat([once, once], 1))
    followed = torch.diagonal(attention[1][:, -1], offset=-(period - 1), dim1=1, dim2=2)
    assert followed[:, 5:].mean() > 0.1  # evenly spread attention would give it about 0.01
    # And what it finds, it writes: the true next token is likelier than in the first half, where nothing can be known.
    logs = logits[:, :-1].log_softmax(-1).gather(2, torch.cat([once, once], 1)[:, 1:, None])[..., 0]
    assert logs[:, period:].mean() > logs[:, : period - 1].mean() + 0.2


@pytest.mark.parametrize("name", SIZES)
def test_of_two_places_it_prefers_the_later(name, tokenizer):
    period = 120
    once = torch.randint(5, len(tokenizer), (4, period), generator=torch.Generator().manual_seed(2))
    attention = attention_of(name, tokenizer, torch.cat([once, once, once], 1))[0][1][:, -1]
    later, earlier = (
        torch.diagonal(attention, offset=-(times * period - 1), dim1=1, dim2=2)[:, -period:].mean() for times in (1, 2)
    )
    assert later > 1.5 * earlier


@pytest.mark.parametrize(("name", "millions"), [("nano-0.7m", 0.7), ("nano-2m", 2.0), ("nano-8m", 8.0)])
def test_names_say_the_parameters_at_a_vocabulary_of_2048(name, millions):
    class Words:
        bos_token_id, eos_token_id, pad_token_id = 1, 2, 0

        def __len__(self):
            return 2048

    assert from_scratch(name, Words()).num_parameters() / 1e6 == pytest.approx(millions, rel=0.1)


def test_an_unknown_size_is_refused(tokenizer):
    with pytest.raises(UnknownNameError, match=r"nano-9m.*nano-8m"):
        from_scratch("nano-9m", tokenizer)
