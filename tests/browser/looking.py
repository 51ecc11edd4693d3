"""Whether a page shuts people out: what axe-core calls serious, and what is too wide, on both looks of a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

AXE = Axe()  # reads its half a million characters of script once
WIDE: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
# Rules that call nothing more than moderate need not be asked. A rule's own impact is the one of all that it finds.
LOOK = """async () => {
    const mild = axe._audit.rules.filter(rule => ['minor', 'moderate'].includes(rule.impact));
    const rules = Object.fromEntries(mild.map(rule => [rule.id, {enabled: false}]));
    return (await axe.run({resultTypes: ['violations'], rules})).violations;
}"""
# Listeners of media have run, and nothing fades any more: what inherits a colour begins when its parent has ended. What
# moves for ever is not waited for.
SETTLED = """async ([scheme, width]) => {
    const frame = () => new Promise(requestAnimationFrame);
    do await frame(); while (innerWidth !== width || !matchMedia(`(prefers-color-scheme: ${scheme})`).matches);
    let moving;
    do {
        await frame();
        moving = document.getAnimations().filter(one => one.effect.getComputedTiming().endTime !== Infinity);
        await Promise.allSettled(moving.map(one => one.finished));
    } while (moving.length);
    document.documentElement.classList.remove('at-once');
}"""


def serious(page: Page) -> list[str]:
    """What axe-core calls serious or critical, with where it is."""
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(AXE.axe_script)
    return [
        f"{page.url}: {one['id']} ({one['impact']}): {one['nodes'][0]['target']} {str(one['nodes'][0]['any'])[:300]}"
        for one in page.evaluate(LOOK)
        if one["impact"] in ("serious", "critical")
    ]


def too_wide(page: Page) -> list[str]:
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"{page.url} is {width} px too wide"] if width > 0 else []


def shut_out(page: Page) -> list[str]:
    """What is wrong on the page as it is, and as the other of wide and light, or phone and dark: colours do not follow
    the width, nor widths the colours. It stays as the other, so that pages are loaded now as one, now as the other."""
    told = serious(page) + too_wide(page)
    scheme, size = ("light", WIDE) if page.viewport_size == PHONE else ("dark", PHONE)
    page.evaluate("document.documentElement.classList.add('at-once')")  # as when somebody chooses a theme: no fading
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size(size)
    page.evaluate(SETTLED, [scheme, size["width"]])
    return told + [f"{scheme}: {one}" for one in serious(page) + too_wide(page)]
