"""merge: one model computed from the weights of others, as its plan says (`plans`, `shared/merging.py`).

Pooling, normalisation, prompts, maximal length, padding side and the normaliser of queries are those of the parts,
which must agree on them.
"""

import logging

from stages.schemas.plans import PLAN_FILE, PLANS_FOLDER, Plan
from stages.settings.seed import read_seed
from stages.shared import errors, member, models, tables

log = logging.getLogger("merge")


def main() -> None:
    name, seed = member.name("merge"), read_seed()
    plan = Plan.model_validate(tables.read_json(PLANS_FOLDER / name / PLAN_FILE))
    from stages.shared import merging

    with tables.replacing(models.MERGED / name) as draft:
        merging.save(plan, draft, PLANS_FOLDER / name, seed)
    log.info(f"{name}: {plan.method} of {', '.join(plan.models)}")


if __name__ == "__main__":
    errors.run(main)
