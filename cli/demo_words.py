"""What the demo says of itself, in English and Chinese."""

from collections.abc import Mapping

from ledger.proof.verdict import Language

_WORDS: Mapping[str, tuple[str, str]] = {
    "step-1": ("the idea", "构想"),
    "step-2": ("batch 07 fails", "第07批失败"),
    "step-3": ("batch 12 succeeds", "第12批成功"),
    "anchored": (
        "anchored  {when}  {title}: {count} files, entry {entry}, by {tsas}",
        "已登记    {when}  {title}：{count} 个文件，登记项 {entry}，{tsas}",
    ),
    "bundled": (
        (
            "bundled   {file} is disclosed, with {claims} of {opened} of {count} records;"
            " everything else stays sealed"
        ),
        "已打包    披露 {file}，以及 {count} 项记录中 {opened} 项的{claims}；其余均保持密封",
    ),
    "staged": ("title, kind, stage and claimed time", "标题、类别、阶段和自述时间"),
    "titled": ("title and kind", "标题和类别"),
    "page": ("the same as a page, with its picture: {page}", "同一结果的网页，附时间轴图：{page}"),
    "openssl": ("without our software, in {folder}:", "不用本软件，在 {folder} 中："),
    "no-openssl": (
        "openssl is not installed here, so this line was not run",
        "此处未安装 openssl，故未运行此行",
    ),
    "silent": ("openssl said nothing", "openssl 没有输出"),
    "forgeries": (
        "five forgeries, each with its list of files made anew:",
        "五次伪造，每次均重新制作文件清单：",
    ),
    "caught": (
        "caught   one byte of the {what}: refuted at {step} ({why})",
        "已识破   {what}的一个字节：核验不一致，{step}（{why}）",
    ),
    "slipped": ("SLIPPED  one byte of the {what}", "未识破   {what}的一个字节"),
    "carrier": ("carrier", "载体"),
    "record's signature": ("record's signature", "记录签名"),
    "path to the root": ("path to the root", "至根的路径"),
    "checkpoint": ("checkpoint", "检查点"),
    "time stamp": ("time stamp", "时间戳"),
    "wrong": (
        "the demo did not go as it must: please report it",
        "演示未按预期进行：请予反馈",
    ),
    "lies": ("all of it lies in {work}", "全部内容位于 {work}"),
}


def said(key: str, language: Language, **values: object) -> str:
    """The words under ``key`` with ``values`` in them."""
    return _WORDS[key][language == "zh"].format(**values)
