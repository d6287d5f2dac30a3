"""Colours and sizes, for light and dark notebooks.

Without a word from the page, the system's preference holds. JupyterLab, VS Code, Colab,
mkdocs-material and Sphinx say whether they are light or dark, and what they say comes later here.
The card has a ground of its own: a page that says nothing may be light on a dark system.
Where a page removes styles, as GitHub does, tables remain.
"""

from __future__ import annotations

__all__ = ["STYLE"]

_LIGHT = """--bg:#ffffff;--fg:#1d2433;--dim:#5d6879;--line:#dfe4ec;--soft:#f4f6fa;--track:#e4e9f2;
--on:#2f6fdf;--mark:#c2410c;--chip:#eaf1fd;--chip-fg:#1d4fa8;--warn:#fdf0e6;--warn-fg:#9a3412"""
_DARK = """--bg:#171c24;--fg:#e4e8ef;--dim:#9aa6b8;--line:#363f4e;--soft:#202733;--track:#303a4a;
--on:#6ea8ff;--mark:#fb923c;--chip:#1f3050;--chip-fg:#a9c9ff;--warn:#43291a;--warn-fg:#fdba74"""

_SAYS_DARK = (
    '[data-jp-theme-light="false"] .ndl',
    ".vscode-dark .ndl",
    ".vscode-high-contrast:not(.vscode-high-contrast-light) .ndl",
    'html[theme="dark"] .ndl',
    '[data-md-color-scheme="slate"] .ndl',
    'html[data-theme="dark"] .ndl',
)
_SAYS_LIGHT = (
    '[data-jp-theme-light="true"] .ndl',
    ".vscode-light .ndl",
    ".vscode-high-contrast-light .ndl",
    'html[theme="light"] .ndl',
    '[data-md-color-scheme="default"] .ndl',
    'html[data-theme="light"] .ndl',
)

_RULES = f"""
.ndl{{{_LIGHT}}}
@media(prefers-color-scheme:dark){{.ndl{{{_DARK}}}}}
{",".join(_SAYS_DARK)}{{{_DARK}}}
{",".join(_SAYS_LIGHT)}{{{_LIGHT}}}
.ndl{{background:var(--bg);color:var(--fg);
font:13px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
max-width:780px;border:1px solid var(--line);border-radius:8px;margin:4px 0;overflow:hidden}}
.ndl *{{box-sizing:border-box}}
.ndl code,.ndl .ndl-m{{font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",
monospace;background:none;color:inherit;padding:0;border:0;overflow-wrap:break-word}}
.ndl code.ndl-any{{overflow-wrap:anywhere}}
.ndl .ndl-head{{display:flex;flex-wrap:wrap;gap:4px 10px;align-items:baseline;padding:7px 12px;
background:var(--soft);border-bottom:1px solid var(--line)}}
.ndl .ndl-kind{{color:var(--dim);font-weight:400}}
.ndl .ndl-title{{font-weight:600}}
.ndl .ndl-head .ndl-m{{font-size:13px}}
.ndl .ndl-badge{{display:inline-block;border-radius:9px;padding:0 8px;font-size:11.5px;
line-height:18px;background:var(--chip);color:var(--chip-fg);white-space:nowrap}}
.ndl .ndl-badge.ndl-warn{{background:var(--warn);color:var(--warn-fg)}}
.ndl .ndl-body{{padding:8px 12px 10px;overflow-x:auto}}
.ndl .ndl-two{{display:flex;flex-wrap:wrap;gap:2px 28px;align-items:flex-start}}
.ndl table.ndl-t{{border-collapse:collapse;border:0;margin:0;width:auto;font-size:13px;
table-layout:auto;color:inherit;display:table}}
.ndl table.ndl-t tr,.ndl table.ndl-t tr:hover{{background:none;border:0}}
.ndl table.ndl-t th,.ndl table.ndl-t td{{border:0;padding:2px 14px 2px 0;text-align:left;
vertical-align:baseline;background:none;color:inherit;font-size:13px;max-width:none}}
.ndl table.ndl-t th{{color:var(--dim);font-weight:400;white-space:nowrap}}
.ndl table.ndl-grid{{width:100%;margin-top:2px}}
.ndl table.ndl-grid thead th{{border-bottom:1px solid var(--line);font-size:12px}}
.ndl table.ndl-grid tbody td{{border-bottom:1px solid var(--line);padding-top:3px;
padding-bottom:3px}}
.ndl table.ndl-grid tbody tr:last-child td{{border-bottom:0}}
.ndl table.ndl-t .ndl-n{{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}}
.ndl .ndl-dim{{color:var(--dim)}}
.ndl .ndl-note{{color:var(--dim);font-size:12px;margin:5px 0 0}}
.ndl .ndl-step{{display:inline-block;border:1px solid var(--line);border-radius:5px;
padding:0 5px;margin:1px 0}}
.ndl .ndl-pass{{display:inline-block;border-radius:5px;padding:0 6px;margin:1px 0;
background:var(--chip);color:var(--chip-fg)}}
.ndl svg{{display:block;width:100%;height:auto;max-width:756px;margin:8px 0 0}}
.ndl svg text{{font:11px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--dim)}}
.ndl .ndl-track{{fill:var(--track)}}
.ndl .ndl-on{{fill:var(--on)}}
.ndl .ndl-mark{{fill:var(--mark)}}
.ndl svg text.ndl-mark{{fill:var(--mark)}}
.ndl .ndl-zoom{{fill:var(--on);fill-opacity:.1}}
.ndl .ndl-edge{{fill:none;stroke:var(--on);stroke-width:1.2}}
"""

STYLE = f"<style>{' '.join(_RULES.split())}</style>"
