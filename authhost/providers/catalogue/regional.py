"""Providers of China, Japan, Korea and Russia."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import OAuth2Provider, Profile, Provider

from authhost.providers.catalogue._parse import (
    full_name,
    is_true,
    nested_object,
    optional_text,
    single_email,
    subject_id,
)


def _read_line(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["userId"]),
        name=optional_text(data.get("displayName")),
        picture=optional_text(data.get("pictureUrl")),
    )


# LINE signs the ID tokens of web logins with the client secret, so the profile endpoint is used.
LINE = OAuth2Provider(
    id="line",
    name="LINE",
    authorize_url="https://access.line.me/oauth2/v2.1/authorize",
    token_url="https://api.line.me/oauth2/v2.1/token",
    profile_url="https://api.line.me/v2/profile",
    read_profile=_read_line,
    scopes=("profile",),
    docs="https://developers.line.biz/en/docs/line-login/getting-started/",
)


def _read_kakao(data: Mapping[str, Any]) -> Profile:
    account, about = nested_object(data, "kakao_account"), nested_object(data, "kakao_account", "profile")
    # is_email_valid is false if another account has claimed the address since.
    verified = is_true(account.get("is_email_valid")) and is_true(account.get("is_email_verified"))
    return Profile(
        uid=subject_id(data["id"]),
        emails=single_email(account.get("email"), verified),
        name=optional_text(about.get("nickname")),
        picture=optional_text(about.get("profile_image_url")),
    )


KAKAO = OAuth2Provider(
    id="kakao",
    name="Kakao",
    authorize_url="https://kauth.kakao.com/oauth/authorize",
    token_url="https://kauth.kakao.com/oauth/token",
    profile_url="https://kapi.kakao.com/v2/user/me",
    # Kakao refuses scopes that its console does not enable. Without a scope, it uses the enabled ones.
    scopes=(),
    scope_separator=",",
    read_profile=_read_kakao,
    docs="https://developers.kakao.com/docs/latest/en/kakaologin/prerequisite",
)


def _read_naver(data: Mapping[str, Any]) -> Profile:
    user = data["response"]
    return Profile(
        uid=subject_id(user["id"]),
        emails=single_email(user.get("email")),
        username=optional_text(user.get("nickname")),
        name=optional_text(user.get("name")),
        picture=optional_text(user.get("profile_image")),
    )


NAVER = OAuth2Provider(
    id="naver",
    name="Naver",
    authorize_url="https://nid.naver.com/oauth2.0/authorize",
    token_url="https://nid.naver.com/oauth2.0/token",
    profile_url="https://openapi.naver.com/v1/nid/me",
    read_profile=_read_naver,
    docs="https://developers.naver.com/docs/login/devguide/devguide.md",
)


def _read_vk(data: Mapping[str, Any]) -> Profile:
    user = data["user"]
    return Profile(
        uid=subject_id(user["user_id"]),
        emails=single_email(user.get("email")),
        name=full_name(user.get("first_name"), user.get("last_name")),
        picture=optional_text(user.get("avatar")),
    )


VK = OAuth2Provider(
    id="vk",
    name="VK",
    authorize_url="https://id.vk.com/authorize",
    token_url="https://id.vk.com/oauth2/auth",
    token_params={"device_id": "{device_id}", "state": "{state}"},
    profile_url="https://id.vk.com/oauth2/user_info",
    profile_params={"client_id": "{client_id}"},
    token_in="body",
    read_profile=_read_vk,
    scopes=("email",),
    docs="https://id.vk.com/about/business/go/docs/en/vkid/latest/vk-id/connection/create-application",
)


def _read_yandex(data: Mapping[str, Any]) -> Profile:
    avatar = None if data.get("is_avatar_empty") else optional_text(data.get("default_avatar_id"))
    return Profile(
        uid=subject_id(data["id"]),
        emails=single_email(data.get("default_email")),
        username=optional_text(data.get("login")),
        name=optional_text(data.get("real_name"), data.get("display_name")),
        picture=f"https://avatars.yandex.net/get-yapic/{avatar}/islands-200" if avatar else None,
    )


YANDEX = OAuth2Provider(
    id="yandex",
    name="Yandex",
    authorize_url="https://oauth.yandex.com/authorize",
    token_url="https://oauth.yandex.com/token",
    profile_url="https://login.yandex.ru/info",
    profile_params={"format": "json"},
    read_profile=_read_yandex,
    scopes=("login:info", "login:email", "login:avatar"),
    docs="https://yandex.com/dev/id/doc/en/register-client",
)


def _read_wechat(data: Mapping[str, Any]) -> Profile:
    return Profile(
        # An openid identifies a person within one application, a unionid within all of one operator.
        uid=subject_id(data.get("unionid") or data["openid"]),
        name=optional_text(data.get("nickname")),
        picture=optional_text(data.get("headimgurl")),
    )


WECHAT = OAuth2Provider(
    id="wechat",
    name="WeChat",
    # WeChat shows an error if the URL does not have this fragment.
    authorize_url="https://open.weixin.qq.com/connect/qrconnect#wechat_redirect",
    token_url="https://api.weixin.qq.com/sns/oauth2/access_token",
    token_method="GET",
    profile_url="https://api.weixin.qq.com/sns/userinfo",
    profile_params={"openid": "{openid}"},
    token_in="query",
    client_id_name="appid",
    client_secret_name="secret",
    read_profile=_read_wechat,
    scopes=("snsapi_login",),
    scope_separator=",",
    docs="https://developers.weixin.qq.com/doc/oplatform/en/Website_App/WeChat_Login/Wechat_Login.html",
)


def _read_weibo(data: Mapping[str, Any]) -> Profile:
    return Profile(
        uid=subject_id(data["idstr"]),
        username=optional_text(data.get("screen_name")),
        name=optional_text(data.get("name")),
        picture=optional_text(data.get("avatar_large")),
    )


WEIBO = OAuth2Provider(
    id="weibo",
    name="Weibo",
    authorize_url="https://api.weibo.com/oauth2/authorize",
    token_url="https://api.weibo.com/oauth2/access_token",
    profile_url="https://api.weibo.com/2/users/show.json",
    profile_params={"uid": "{uid}"},
    token_in="query",
    read_profile=_read_weibo,
    scope_separator=",",
    docs="https://open.weibo.com/wiki/Connect/login",
)

PROVIDERS: tuple[Provider, ...] = (LINE, KAKAO, NAVER, VK, YANDEX, WECHAT, WEIBO)
