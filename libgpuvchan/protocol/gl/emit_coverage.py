# SPDX-License-Identifier: MIT
"""gl-coverage.md: each command, and how it is served."""

_WORDS = {"post": "post", "call": "call", "gen": "post, names of the guest", "delete": "post, names of the guest",
          "vector": "post", "hand": "by hand", "todo": "not yet"}


def text(planner):
    plans = [planner.plans[name] for name in sorted(planner.plans)]
    done = [plan for plan in plans if plan.done]
    names = [name for name, root in planner.all_names.items() if planner.plans[root].done]
    lines = ["# OpenGL: commands and how they are served", "",
             f"{len(done)} of {len(plans)} commands; with their other names {len(names)} of {len(planner.all_names)}.",
             "A post returns as soon as it is in the ring, a call waits for the host.", "",
             "| command | served | remark |", "|-|-|-|"]
    for plan in plans:
        served = _WORDS[plan.kind] + (", with state in the guest" if plan.guest_by_hand else "")
        lines.append(f"| {plan.command.name} | {served} | {plan.why} |")
    missing = sorted({extension.name for extension in planner.registry.extensions
                      if extension.name in planner.overlay.extensions}
                     - {extension.name for extension in planner.supported_extensions()})
    lines += ["", "Extensions that are not served yet, though their commands are looked at: "
              + (", ".join(missing) or "none") + "."]
    return "\n".join(lines + [""])
